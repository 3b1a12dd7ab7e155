"""Which process holds something, and whether it has ended, as far as can be seen."""

import json
import os
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Holder:
    """A process.

    Attributes:
        host: name of its machine, for people.
        pid: its number there.
        machine: what numbers processes: this start of the machine, and the container.
            Host names need not differ.
        started: when the process began, in ticks since the machine did; numbers of
            processes are used again.
    """

    host: str
    pid: int
    machine: str
    started: str

    def __str__(self):
        return f"process {self.pid} on {self.host}"

    @property
    def has_ended(self) -> bool:
        """Whether it is known to have ended: of another machine's nothing is known."""
        if self.machine != _machine():
            return False
        return not _is_running(self.pid) or _started(self.pid) != self.started

    @property
    def is_of_this_machine(self) -> bool:
        """Whether its locks on files are seen here in any case."""
        return self.machine == _machine()

    def as_json(self) -> str:
        """As `parsed` reads it."""
        return json.dumps(asdict(self))


def this_process() -> Holder:
    """The process that asks."""
    pid = os.getpid()
    return Holder(socket.gethostname(), pid, _machine(), _started(pid))


def parsed(text: str) -> Holder | None:
    """Whoever wrote that; None: somebody whose text is not there yet, or damaged."""
    try:
        found = Holder(**json.loads(text))
    except (ValueError, TypeError, RecursionError):
        return None
    kinds = {"host": str, "pid": int, "machine": str, "started": str}
    fits = all(isinstance(getattr(found, name), kind) for name, kind in kinds.items())
    return found if fits else None


@cache
def _machine():
    with suppress(OSError):
        start = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        return f"{start.strip()} {Path('/proc/self/ns/pid').readlink()}"
    return socket.gethostname()  # no Linux: as good as can be had


def _is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # somebody else's process; no pid at all
        return True
    return True


def _started(pid):
    """Field 22 of /proc/PID/stat; the name before it may hold anything."""
    with suppress(OSError, IndexError):
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return stat.rpartition(")")[2].split()[19]
    return ""
