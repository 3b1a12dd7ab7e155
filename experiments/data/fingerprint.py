"""What distinguishes the images of a split, or a whole dataset, from any others."""

import hashlib
import os
from pathlib import Path

import numpy as np

from experiments.data.splits import Data, Split

SHOWN = 16  # hexadecimal digits of a content: people read them in messages
RECORDS = 256  # first ones that stand for a stream, with its size


def fingerprint(split: Split) -> str:
    """A SHA-256, in hex, of the split's images and their order.

    Of all pixels in memory; of files, their paths, sizes and times of change; of a
    stream, its size and first records.
    """
    digest = hashlib.sha256(f"{split.size}".encode())
    if split.in_memory:
        digest.update(f"{split.images.shape}".encode())
        digest.update(split.images.tobytes())
    elif split.paths is not None:
        for path in split.paths:
            found = Path(os.fsdecode(path)).stat()
            digest.update(
                os.fsencode(path) + f" {found.st_size} {found.st_mtime_ns}\n".encode()
            )
    else:
        for encoded, _ in split.stream().take(RECORDS).as_numpy_iterator():
            digest.update(hashlib.sha256(encoded).digest())
    return digest.hexdigest()


def content(data: Data) -> str | None:
    """The beginning of a SHA-256 of all images and labels, in order, wherever they lie.

    Of pixels in memory; of files that are not held there, their sizes. None of a
    stream, whose name says its version.
    """
    digest = hashlib.sha256()
    for split in (data.train, data.validation, data.test):
        if split.stream is not None:
            return None
        digest.update(f"{split.name} {split.size}".encode())
        digest.update(np.ascontiguousarray(split.labels, np.int64).tobytes())
        if split.in_memory:
            digest.update(np.ascontiguousarray(split.images).data)
        else:
            sizes = [Path(os.fsdecode(path)).stat().st_size for path in split.paths]
            digest.update(np.array(sizes, np.int64).tobytes())
    return digest.hexdigest()[:SHOWN]
