"""Claims: of many processes, also on many machines, one does each piece of a run.

A claim is a file that only one can make (O_EXCL, which NFS keeps too; locks of files
need not reach from one machine to another).

    RUN/claims/seed0-teacher.1    the piece seed0-teacher is somebody's
    RUN/claims/seed0-teacher.2    taken over: the first holder is dead
    RUN/claims/worker-4f0c....1   somebody works in this run folder

The highest number holds. Numbers go up until the piece is finished, so that of several
who find a dead claim one alone makes the next.

The holder touches its claims every `BEAT` seconds. One that was not touched for `DEAD`
seconds counts as dead; that of a process of this machine which has ended does so at
once, and one that was given back. Both times are the file server's, of a claim of one's
own that is touched now and of theirs: the clocks of machines need not agree.

Who was thought dead and is not (a machine that slept, a network that was gone) finds
that out at its next beat and ends its process; `require` asks before anything is put
in its place.
"""

import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from compression.atomic import naming
from experiments.runs.holder import Holder, parsed, this_process

BEAT, DEAD = 15.0, 300.0  # seconds; nothing beats while a converter holds Python
WORKER, ALONE = "worker", "alone"  # the two ways to be in a run folder


def terminate() -> None:
    """End this process as SIGTERM does, so that it cleans up after it."""
    os.kill(os.getpid(), signal.SIGTERM)


class Claims:
    """The claims of a run folder, and those that this process holds; a context.

    Args:
        folder: theirs alone; made if need be.
        kind: how this process is in the run folder: `WORKER` or `ALONE`.
        beat, dead: seconds, see above.
        when_lost: called once, in another thread, when others have taken over.
    """

    def __init__(
        self,
        folder: Path,
        kind: str,
        *,
        beat: float = BEAT,
        dead: float = DEAD,
        when_lost: Callable[[], None] = terminate,
    ):
        self.folder, self.beat, self.dead = folder, beat, dead
        self.presence = f"{kind}-{uuid.uuid4().hex}"
        self._when_lost = when_lost
        self._text = this_process().as_json()
        self._mine: dict[str, int] = {}  # name -> number
        self._guard, self._left = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._keep_beating, daemon=True)

    def __enter__(self):
        self._make(self.presence, 1)
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._left.set()
        self._thread.join()
        for name in [*self._mine]:
            if name != self.presence:
                self.give_back(name)
        self.finish(self.presence)
        with suppress(OSError):  # others have claims there
            self.folder.rmdir()

    def take(self, name: str) -> bool:
        """Claim a piece; False where somebody who lives has it."""
        last = max(self._listed().get(name, [0]))
        if last and self._holder(name, last, self._now()) is not None:
            return False
        return self._make(name, last + 1)

    def require(self, name: str) -> None:
        """Check that a piece which was taken is still this process's.

        Raises:
            TimeoutError: others have thought it dead, and taken over.
        """
        if self._is_lost(name, self._mine[name]):
            raise TimeoutError(
                f"{name} was taken over by others: this process has shown no sign of "
                f"life for {self.dead:g} s"
            )

    def give_back(self, name: str) -> None:
        """Somebody else may take the piece: it is not finished."""
        with self._guard:
            number = self._mine.pop(name)
        with suppress(OSError):
            os.utime(self._path(name, number), (0, 0))

    def finish(self, name: str) -> None:
        """The piece is finished: nobody needs its claims any more."""
        with self._guard:
            self._mine.pop(name)
        self._remove(name)

    def living(self) -> dict[str, Holder | None]:
        """What is claimed by somebody who lives, and by whom (None: it is not known).

        One's own presence is not among it.
        """
        now, found = self._now(), {}
        for name, numbers in self._listed().items():
            if name != self.presence:
                holder = self._holder(name, max(numbers), now)
                if holder is not None:
                    found[name] = holder or None
        return found

    def present(self, kind: str | None = None) -> dict[str, Holder | None]:
        """Likewise, of others that are in the run folder, of that kind or of any."""
        kinds = (WORKER, ALONE) if kind is None else (kind,)
        return {
            name: holder
            for name, holder in self.living().items()
            if name.partition("-")[0] in kinds
        }

    def tidy(self, finished: Collection[str] | None = None) -> None:
        """Remove the claims of the dead.

        Args:
            finished: names of pieces that nobody will do again; None: this process is
                alone, nobody does any.
        """
        now = self._now()
        for name, numbers in self._listed().items():
            is_presence = name.partition("-")[0] in (WORKER, ALONE)
            if finished is not None and not is_presence and name not in finished:
                continue
            if self._holder(name, max(numbers), now) is None:
                self._remove(name)

    def _path(self, name, number):
        return self.folder / f"{name}.{number}"

    def _listed(self):
        """Numbers of all claims, by name.

        The folder is read anew, where the mere question for a file might be answered
        from what an NFS client remembers.
        """
        found: dict[str, list[int]] = {}
        with suppress(FileNotFoundError):
            for each in os.listdir(self.folder):  # noqa: PTH208, names are all
                name, _, number = each.rpartition(".")
                if name and number.isdecimal():
                    found.setdefault(name, []).append(int(number))
        return found

    def _holder(self, name, number, now):
        """Whose a claim is; False: not known. None: it is dead, or was removed."""
        try:
            with self._path(name, number).open(encoding="utf-8") as file:
                text, touched = file.read(), os.fstat(file.fileno()).st_mtime
        except FileNotFoundError:
            return None
        holder = parsed(text)
        if now - touched > self.dead or (holder is not None and holder.has_ended):
            return None
        return holder or False

    def _make(self, name, number):
        path = self._path(name, number)
        while True:
            try:
                handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
                break
            except FileExistsError:
                return False
            except FileNotFoundError:  # the last one who left has removed the folder
                self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with naming(path), os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(self._text)
        except BaseException:  # a full disk: an empty claim would be of a stranger
            path.unlink(missing_ok=True)
            raise
        with self._guard:
            self._mine[name] = number
        return True

    def _remove(self, name):
        for number in sorted(self._listed().get(name, [])):
            self._path(name, number).unlink(missing_ok=True)

    def _now(self):
        """The file server's time."""
        own = self._path(self.presence, 1)
        with suppress(FileNotFoundError):  # others thought it dead: it will be told
            os.utime(own)
            return own.stat().st_mtime
        return time.time()

    def _is_lost(self, name, number):
        return max(self._listed().get(name, [0])) != number

    def _keep_beating(self):
        while not self._left.wait(self.beat):
            if self._beat():
                print(
                    "limbeck: others have thought this process dead and taken over: "
                    f"it has shown no sign of life for {self.dead:g} s",
                    file=sys.stderr,
                    flush=True,
                )
                self._when_lost()
                return

    def _beat(self):
        """Touch what is ours; whether something is no longer."""
        with self._guard:
            for name, number in self._mine.items():
                try:
                    if self._is_lost(name, number):
                        return True
                    os.utime(self._path(name, number))
                except OSError:  # the network is gone; the next beat will know
                    continue
        return False
