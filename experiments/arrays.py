"""Arrays in a file, as `np.savez` writes them."""

import zipfile
from pathlib import Path

import numpy as np


def read_arrays(path: Path, *, compressed: bool = False) -> dict[str, np.ndarray]:
    """All arrays of an .npz file.

    Args:
        path: of the file.
        compressed: whether it may be, as `np.savez_compressed` writes it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or was not written by `np.savez`; names it.
    """
    with path.open("rb") as file:  # what cannot be opened is not damaged
        try:
            with zipfile.ZipFile(file) as archive:
                squeezed = any(member.compress_type for member in archive.infolist())
                if squeezed and not compressed:
                    raise ValueError("it is compressed, which no file of ours is")
            file.seek(0)
            with np.load(file, allow_pickle=False) as stored:
                found = dict(stored)
            for name, array in found.items():
                if not isinstance(array, np.ndarray):  # np.load gives other parts as is
                    raise ValueError(f"its part {name!r} is no array")
            return found
        except Exception as error:  # zip's, NumPy's, struct's: no common base
            reason = str(error).strip() or type(error).__name__
            raise ValueError(f"{path} is damaged ({reason[:200]})") from error
