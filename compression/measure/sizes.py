"""Bytes on disk, and how many of them a general compressor, or ours, leaves."""

import io
import tempfile
import zipfile
from pathlib import Path

import keras

from compression.arguments import as_path


def size(path: str | Path) -> int:
    """Bytes of a file, or of all files in a folder.

    Raises:
        FileNotFoundError: there is neither at `path`.
    """
    return sum(file.stat().st_size for file in _files(as_path(path)))


def zipped_size(path: str | Path) -> int:
    """Bytes of a zip archive (deflate, level 9) of a file or folder.

    Raises:
        FileNotFoundError: there is neither at `path`.
    """
    path = as_path(path)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as zipped:
        for file in _files(path):
            name = file.relative_to(path.parent).as_posix()
            # A fixed date: the size shall depend on the contents only.
            zipped.writestr(zipfile.ZipInfo(name), file.read_bytes(), 8, 9)
    return archive.getbuffer().nbytes


def model_sizes(model: keras.Model) -> tuple[int, int]:
    """`size` and `zipped_size` of the .keras file of `model`, without its optimizer."""
    # A second model on the same layers, which nobody compiled: no optimizer to save.
    bare = keras.Model(model.inputs, model.outputs, name=model.name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        bare.save(path)
        return size(path), zipped_size(path)


def encoded_size(model: keras.Model) -> int:
    """Bytes of the .limbeck file of `model`, entropy-coded (`export.archive`)."""
    from compression.export.archive.models import to_archive

    return len(to_archive(model))


def _files(path):
    if path.is_file():
        return [path]
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder at {path}")
    return sorted(file for file in path.rglob("*") if file.is_file())
