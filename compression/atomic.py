"""A file or folder takes its place at once, complete, or not at all."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNFINISHED = ".limbeck-unfinished"  # ends the name of a folder that is being written


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """A block that writes `path`: an OSError that names no file names this one.

    A full disk is noticed when the bytes are written, where no path is known any more.
    """
    try:
        yield
    except OSError as error:
        if error.filename is not None or str(path) in str(error):
            raise
        if error.errno is None:
            raise OSError(f"{path} cannot be written: {error}") from error
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it becomes `path` when the block ends well.

    When the block raises, whatever was at `path` is still there and nothing else is.
    An existing folder cannot be replaced in one step: it is moved aside first and
    moved back should the second step fail. A folder is not replaced by a file, nor a
    file by a folder, nor a device by either; where `path` is a link, what it leads to
    is replaced. Errors of a full disk name `path`.
    """
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    target.parent.mkdir(parents=True, exist_ok=True)
    # A folder of our own, so that the new file has the usual permissions.
    unfinished = tempfile.TemporaryDirectory(
        prefix=f".{path.name}.", suffix=UNFINISHED, dir=target.parent
    )
    with naming(path), unfinished as folder:
        new = Path(folder) / path.name
        yield new
        if target.is_dir() and new.is_file():
            raise IsADirectoryError(errno.EISDIR, "a folder: not replaced", str(path))
        if target.exists() and not target.is_dir():
            if new.is_dir():
                raise NotADirectoryError(
                    errno.ENOTDIR, "a file: not replaced", str(path)
                )
            if not target.is_file():  # /dev/null, a pipe
                raise OSError(errno.EINVAL, "no file: not replaced", str(path))
        if not target.is_dir():
            new.replace(target)
            return
        old = Path(folder) / "replaced"
        target.rename(old)
        try:
            new.rename(target)
        except OSError:
            old.rename(target)
            raise


def remove_leftovers(folder: Path) -> None:
    """Remove what `replacing` left at any depth of `folder` when it was killed.

    Nothing else goes: other hidden folders (of git, of notebooks) and links stay.
    """
    for path in folder.rglob(f".*{UNFINISHED}"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
