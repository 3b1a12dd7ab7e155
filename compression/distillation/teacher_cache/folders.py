"""Folders under one root that processes share: locks, last use, a budget of bytes."""

import fcntl
import math
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from compression.distillation.teacher_cache.chunks import META

# A lock is an open file; it ends with its process.
ROOM, BUILDING, IN_USE = ".room", ".building", ".in_use"
KEY = "[0-9a-f]{64}"  # what our folders are called
MARGIN = 2**28  # bytes of the disk that are left for others


@contextmanager
def building(folder: Path, log: Callable[[str], None]) -> Iterator[None]:
    """One process at a time checks and writes `folder`; the others wait here."""
    try:
        lock = _locked(folder, BUILDING, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log(f"  waiting for another process that works in {folder}")
        lock = _locked(folder, BUILDING, fcntl.LOCK_EX)
    with lock:
        yield


def in_use(folder: Path) -> IO:
    """Mark `folder` as used now; nobody removes it until the result is closed."""
    os.utime(folder / META)
    return _locked(folder, IN_USE, fcntl.LOCK_SH)


@contextmanager
def room_for(folder: Path, size: int, budget: int | None) -> Iterator[None]:
    """A block in which `folder` may grow to `size` bytes; it must do so at once.

    Where there is too little, other folders of the root that no process uses are
    removed, the one that was used longest ago first.

    Args:
        folder: the caller's own, within `building`.
        size: of all its files in the end.
        budget: bytes that all folders of the root may have together; None: as many
            as the disk has.

    Raises:
        ValueError: there is no room, even then. Nothing was removed.
    """
    with _locked(folder.parent, ROOM, fcntl.LOCK_EX), ExitStack() as held:
        for path in folder.parent.iterdir():
            if re.fullmatch(rf"\.{KEY}\.\d+", path.name):  # its remover was killed
                shutil.rmtree(path)
        others = [path for path in folder.parent.iterdir() if _is_other(path, folder)]
        limit = math.inf if budget is None else budget
        over = size + sum(map(_size, others)) - limit
        free = shutil.disk_usage(folder.parent).free
        missing = size - _on_disk(folder) + MARGIN - free
        unused = []
        for path in sorted(others, key=lambda path: (path / META).stat().st_mtime):
            if over <= 0 and missing <= 0:
                break
            if _is_unused(path, held):
                over -= _size(path)
                missing -= _on_disk(path)
                unused.append(path)
        _require_room(folder, size, budget, over=over, missing=missing, free=free)
        for path in unused:
            removed = path.with_name(f".{path.name}.{os.getpid()}")
            path.rename(removed)  # so that no cache is ever half there
            shutil.rmtree(removed)
        yield


def in_words(size: float) -> str:
    """Bytes as people write them."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"


def _require_room(folder, size, budget, *, over, missing, free):
    way_out = (
        "ask for fewer views, or for views=None, which runs the teacher in every step"
    )
    if over > 0:
        used = "" if size > budget else " and the rest is in use"
        raise ValueError(
            f"the teacher cache needs {in_words(size)}, its budget in {folder.parent} "
            f"is {in_words(budget)}{used}: allow a larger budget, {way_out}"
        )
    if missing > 0:
        raise ValueError(
            f"the teacher cache needs {in_words(size)}, {in_words(free)} are free in "
            f"{folder.parent} and {in_words(MARGIN)} of them are left for others: "
            f"choose another disk, {way_out}"
        )


def _locked(folder, name, kind):
    """An open file that holds the lock; makes the folder where it is missing."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            file = (folder / name).open("a")
        except FileNotFoundError:  # removed since
            continue
        try:
            fcntl.flock(file, kind)
            if os.path.samestat(os.fstat(file.fileno()), (folder / name).stat()):
                return file
        except FileNotFoundError:
            pass
        except BlockingIOError:
            file.close()
            raise
        file.close()  # of a folder that was removed while we waited


def _is_other(path, folder):
    ours = re.fullmatch(KEY, path.name) and (path / META).exists()
    return ours and path != folder


def _is_unused(path, held):
    """Whether nobody works in or reads `path`; if so, nobody can from now on."""
    try:
        for name in (BUILDING, IN_USE):
            held.enter_context(_locked(path, name, fcntl.LOCK_EX | fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def _size(folder):
    return sum(path.stat().st_size for path in folder.iterdir())


def _on_disk(folder):
    """Files that are being built have holes."""
    return sum(512 * path.stat().st_blocks for path in folder.iterdir())
