"""Who is in a run folder: one process by itself, or any number that share the work."""

import contextlib
import fcntl
from collections.abc import Iterator, Mapping

from compression.atomic import remove_leftovers
from experiments.runs.claims import ALONE, WORKER, Claims
from experiments.runs.holder import Holder
from experiments.runs.layout import RunFolder


@contextlib.contextmanager
def alone(folder: RunFolder) -> Iterator[None]:
    """No other process works in the folder meanwhile; makes the folder.

    Raises:
        BlockingIOError: another process does; names it.
    """
    with _present(folder, ALONE, fcntl.LOCK_EX) as claims:
        claims.tidy()
        remove_leftovers(folder.path)  # of writers that were killed
        yield


@contextlib.contextmanager
def among(folder: RunFolder) -> Iterator[Claims]:
    """Others may work in the folder meanwhile, each on what it has claimed.

    Raises:
        BlockingIOError: a process works there by itself; names it.
    """
    with _present(folder, WORKER, fcntl.LOCK_SH) as claims:
        yield claims


@contextlib.contextmanager
def _present(folder, kind, mode):
    """First be seen, then look: of two who do so at once none overlooks the other.

    On one machine the lock decides, which dies with its process; from one machine to
    another, claims do.
    """
    folder.path.mkdir(parents=True, exist_ok=True)
    unwanted = None if kind == ALONE else ALONE
    with Claims(folder.claims, kind) as claims, folder.lock.open("a+") as lock:
        locked = True
        try:
            fcntl.flock(lock, mode | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _refusal(folder, claims.present(unwanted)) from error
        except OSError:  # a file system without locks
            locked = False
        others = {
            name: holder
            for name, holder in claims.present(unwanted).items()
            # Here it waits for our lock, and will give up.
            if not (locked and holder is not None and holder.is_of_this_machine)
        }
        if others:
            raise _refusal(folder, others)
        yield claims


def _refusal(folder, others: Mapping[str, Holder | None]):
    known = sorted({str(holder) for holder in others.values() if holder is not None})
    who = f" ({'; '.join(known)})" if known else ""
    return BlockingIOError(f"another limbeck is running in {folder.path}{who}")
