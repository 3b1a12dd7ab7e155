"""Published files, fetched once and checked by the hash that their name carries."""

import errno
import hashlib
import os
import re
import tempfile
import urllib.request
from pathlib import Path

from architectures.weight_files import given_path

TIMEOUT = 60  # seconds without a byte from the server
OTHER_CACHE = "name a folder that can be written with cache= or XDG_CACHE_HOME"


def fetch(address: str, cache: str | Path) -> Path:
    """The file at `address`, fetched once into the folder `cache`.

    The name must carry the first digits of its sha256, as PyTorch's do
    (`resnet18-f37072fd.pth`); a file that does not hash to them is never kept.

    Raises:
        ValueError: the name carries no hash, or what came does not have it.
        OSError: the server cannot be reached, or does not have the file, or nothing
            can be written into `cache`.
    """
    name = address.rsplit("/", 1)[-1]
    digits = re.search(r"-([0-9a-f]{8,64})\.\w+$", name)
    if digits is None:
        raise ValueError(f"{name} carries no hash to check it by, fetch it yourself")
    cache = given_path(cache)
    target = cache / name
    if target.exists() and _sha256(target).startswith(digits[1]):
        return target
    with _folder_in(cache) as folder:
        part = Path(folder) / name
        try:
            _copy(address, part)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise OSError(
                error.errno, f"there is no room for {name}: {OTHER_CACHE}", str(cache)
            ) from error
        if not (came := _sha256(part)).startswith(digits[1]):
            raise ValueError(
                f"{address} came with sha256 {came}, which should begin with "
                f"{digits[1]}; nothing was kept"
            )
        part.replace(target)  # at once: another process never sees half a file
    return target


def _copy(address, path):
    with (
        urllib.request.urlopen(address, timeout=TIMEOUT) as answer,
        path.open("wb") as file,
    ):
        while block := answer.read(1 << 20):
            file.write(block)


def _folder_in(cache):
    """A folder inside `cache` that is removed again."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(dir=cache)
    except OSError as error:
        raise OSError(
            f"fetched weights cannot be kept in {cache} ({error.strerror}): "
            f"{OTHER_CACHE}"
        ) from error


def _sha256(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def default_cache(kept: str = "fetched weights", way_out: str = OTHER_CACHE) -> Path:
    """`limbeck` in the user's folder for caches.

    Args:
        kept: what is kept there, for the message.
        way_out: how another folder is named, for the message.

    Raises:
        OSError: there is no home folder.
    """
    home = os.environ.get("XDG_CACHE_HOME")
    try:
        home = Path(home).expanduser() if home else Path.home() / ".cache"
    except RuntimeError as error:  # of pathlib's
        raise OSError(
            f"{kept} cannot be kept in {home or '~/.cache'}, there is no home folder: "
            f"{way_out}"
        ) from error
    return home / "limbeck"
