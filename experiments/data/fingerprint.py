"""What distinguishes the images of a split from any others."""

import hashlib
import os
from pathlib import Path

from experiments.data.splits import Split

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
