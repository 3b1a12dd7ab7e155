"""Pieces of a run, each done by one process alone; which of them can be done now."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Piece:
    """A part of a run that one process does alone: a stage of a seed, a measurement.

    Attributes:
        name: which nobody else's has; a part of a file's name.
        words: what it is, for a person.
        needs: names of the pieces that must be finished first.
        finished: whether it is, asked when those are; a ValueError where what it has
            left was altered.
        run: does it. It calls its argument before it puts anything in its place, which
            raises TimeoutError if the piece is somebody else's by then.
        error: file that says how it has failed.
        last: whether it waits until nothing else can be done.
    """

    name: str
    words: str
    needs: tuple[str, ...]
    finished: Callable[[], bool]
    run: Callable[[Callable[[], None]], None]
    error: Path
    last: bool = False


def ready(
    pieces: Sequence[Piece], finished: Collection[str], failed: Collection[str]
) -> list[Piece]:
    """What can be done now, in the order in which one process should try to.

    Args:
        pieces: each after those that it needs.
        finished: names of those that are.
        failed: names of those that shall not be tried again.
    """
    found = [
        piece
        for piece in pieces
        if piece.name not in finished
        and piece.name not in failed
        and all(name in finished for name in piece.needs)
    ]
    return sorted(found, key=lambda piece: piece.last)


def held_up(pieces: Iterable[Piece], failed: Collection[str]) -> list[Piece]:
    """What cannot be done because something that it needs, also indirectly, failed."""
    stuck, found = set(failed), []
    for piece in pieces:
        if piece.name not in stuck and stuck.intersection(piece.needs):
            stuck.add(piece.name)
            found.append(piece)
    return found
