"""Damages an archive in many ways and reads it: only a ValueError may come of it.

    python -m tests.compression.export.archive.fuzzing net.limbeck --times 100000

Nine in ten get their checksum mended, so that what comes behind it sees the damage.
"""

import argparse
import time
import zlib
from collections import Counter
from pathlib import Path

import numpy as np

from compression.export.archive.contents import CHECKED, from_bytes
from compression.export.archive.rebuilding import rebuilt

NAME = Path("altered.limbeck")


def altered(content: bytes, random: np.random.Generator) -> bytes:
    """`content`, one to four times altered, mostly with a checksum that is right."""
    found = bytearray(content)
    for _ in range(random.integers(1, 5)):
        at = int(random.integers(0, max(1, len(found))))
        kind = random.integers(0, 6)
        if kind == 0:
            found[at : at + 1] = bytes([int(random.integers(0, 256))])
        elif kind == 1 and at < len(found):
            found[at] ^= 1 << int(random.integers(0, 8))
        elif kind == 2:
            del found[at:]
        elif kind == 3:
            found[at:at] = random.bytes(int(random.integers(1, 9)))
        elif kind == 4:
            del found[at : at + int(random.integers(1, 9))]
        else:
            other = int(random.integers(0, max(1, len(found))))
            found[at : at + 8] = found[other : other + 8]
    if random.random() < 0.9 and len(found) >= CHECKED:
        found[: CHECKED - 4] = content[: CHECKED - 4]
        found[CHECKED - 4 : CHECKED] = zlib.crc32(found[CHECKED:]).to_bytes(4, "little")
    return bytes(found)


def outcome(content: bytes) -> str:
    """ "read" or "refused"; anything else is raised."""
    try:
        contents = from_bytes(content, NAME)
        rebuilt(contents.config, contents.weights, NAME)
    except ValueError as error:
        if str(NAME) not in str(error):
            raise
        return "refused"
    return "read"


def main() -> None:
    """Prints how many files were read, how many refused, and the slowest of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--times", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    content = options.file.read_bytes()
    random = np.random.default_rng(options.seed)
    found, slowest = Counter(), 0.0
    for turn in range(options.times):
        file = altered(content, random)
        start = time.perf_counter()
        try:
            found[outcome(file)] += 1
        except BaseException:
            Path("fuzzing-failed.limbeck").write_bytes(file)
            print(f"turn {turn}: the file is fuzzing-failed.limbeck")
            raise
        slowest = max(slowest, time.perf_counter() - start)
    print(f"{dict(found)}, the slowest {slowest:.2f} s")


if __name__ == "__main__":
    main()
