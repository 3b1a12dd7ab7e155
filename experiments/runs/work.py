"""Works on a run's pieces beside other processes: each piece is done once.

Whoever does a piece has claimed it. What has failed is left alone by all who were at
work then, with all that needs it; who comes later tries it again.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from compression.one_line import in_one_line
from experiments.runs import failures
from experiments.runs.claims import Claims
from experiments.runs.ready import Piece, held_up, ready

POLL = 5.0  # seconds


@dataclass
class Outcome:
    """What came of it.

    Attributes:
        done: names of the pieces that this process has done.
        finished: of all that are finished now, whoever did them.
        failed: of those that have failed, and how.
        held_up: of those that need one that failed.
    """

    done: list[str] = field(default_factory=list)
    finished: set[str] = field(default_factory=set)
    failed: dict[str, dict[str, Any]] = field(default_factory=dict)
    held_up: list[str] = field(default_factory=list)


def work(
    pieces: Sequence[Piece],
    claims: Claims,
    *,
    wait: bool = True,
    poll: float = POLL,
    say: Callable[[str], None] = print,
) -> Outcome:
    """Do what can be done, until all is finished, or held up by what has failed.

    Args:
        pieces: each after those that it needs.
        claims: of the run folder.
        wait: for others who are at work; False: end where nothing is left to take.
        poll: seconds between two looks meanwhile.
        say: gets a line on what happens.

    Raises:
        ValueError: what a finished piece has left was altered.
        OSError, MemoryError: of a piece; it is kept as its failure, and this process
            does no more: the next piece would meet the same.
        TimeoutError: others thought this process dead.
    """
    shared = _Shared(pieces, claims, say)
    waits = False
    while True:
        if shared.do_one():
            waits = False
            continue
        others = shared.taken_by_others()
        if not others and not shared.ready:  # else somebody took it and ended since
            return shared.outcome()
        if not wait:
            say(f"nothing else is ready; others are at {_listed(others)}")
            return shared.outcome()
        if others and not waits:
            say(f"waiting for others, who are at {_listed(others)}")
            waits = True
        time.sleep(poll)


class _Shared:
    """What this process knows of the pieces that it shares with others."""

    def __init__(self, pieces, claims, say):
        self.pieces, self.claims, self.say = pieces, claims, say
        self.before = {piece.name: failures.kept(piece.error) for piece in pieces}
        self.found, self.looked = Outcome(), False
        self.ready: list[Piece] = []

    def do_one(self) -> bool:
        """Do one piece, if there is one to take; whether there was."""
        self._look()
        living = self.claims.living()
        self.ready = ready(self.pieces, self.found.finished, self.found.failed)
        for piece in self.ready:
            if piece.name not in living and self.claims.take(piece.name):
                self._do(piece)
                return True
        return False

    def taken_by_others(self) -> list[str]:
        """In words, the pieces that others are at, whatever has come of them by now."""
        living = self.claims.living()
        return [
            f"{piece.words} ({living[piece.name] or 'an unknown process'})"
            for piece in self.pieces
            if piece.name in living and piece.name not in self.found.finished
        ]

    def outcome(self) -> Outcome:
        self.found.held_up = [
            piece.name for piece in held_up(self.pieces, self.found.failed)
        ]
        return self.found

    def _look(self):
        """See what is finished, and what has failed since this process began."""
        found = self.found
        for piece in self.pieces:
            if piece.name in found.finished:
                continue
            if found.finished.issuperset(piece.needs) and piece.finished():
                found.finished.add(piece.name)
                when = "finished meanwhile" if self.looked else "finished before"
                self.say(f"{piece.words}: {when}")
        self.looked = True
        found.failed = {
            piece.name: failure
            for piece in self.pieces
            if piece.name not in found.finished and (failure := self._failure(piece))
        }

    def _failure(self, piece):
        found = failures.kept(piece.error)
        return None if found == self.before[piece.name] else found

    def _do(self, piece):
        """Do a piece that was taken, unless somebody has done so just before."""
        if piece.finished():
            self.claims.finish(piece.name)
            return
        if self._failure(piece):
            self.claims.give_back(piece.name)
            return
        try:
            piece.run(lambda: self.claims.require(piece.name))
        except TimeoutError:  # it is somebody else's now, or the network's fault
            raise
        except Exception as error:
            failures.keep(piece.error, error)
            self.claims.give_back(piece.name)
            self.say(f"{piece.words} has failed: {in_one_line(error)}")
            if isinstance(error, OSError | MemoryError):
                raise
            return
        piece.error.unlink(missing_ok=True)
        self.claims.finish(piece.name)
        self.found.done.append(piece.name)
        self.found.finished.add(piece.name)


def _listed(words):
    shown = ", ".join(words[:3])
    return shown if len(words) <= 3 else f"{shown} and {len(words) - 3} more"
