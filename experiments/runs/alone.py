"""No two processes work in one run folder."""

import contextlib
import fcntl
from collections.abc import Iterator

from compression.atomic import remove_leftovers
from experiments.runs.layout import RunFolder


@contextlib.contextmanager
def alone(folder: RunFolder) -> Iterator[None]:
    """Holds the folder's lock, which dies with its process; makes the folder.

    Raises:
        BlockingIOError: another process has it.
    """
    folder.path.mkdir(parents=True, exist_ok=True)
    with folder.lock.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BlockingIOError(
                f"another limbeck is running in {folder.path}"
            ) from error
        remove_leftovers(folder.path)  # of writers that were killed
        yield
