"""Many weights of which only sign, exponent and a few bits can be guessed: float32s.

`plain_values` learns bit after bit, which takes minutes for millions of weights, also
where it is told how many bits are noise. Here the beginnings of all weights are counted
first, the counts are coded, and then every bit at once: a beginning's by what was
counted, those behind it as they are.
"""

import numpy as np

from compression.export.archive.integer_logarithm import LEAST, MOST, WHOLE
from compression.export.archive.keys import magnitudes

WIDTH = 31  # bits of a float32's magnitude
FIRST = 11  # of them: exponent, three bits of the mantissa
BEHIND = WIDTH - FIRST
LEAVES = 1 << FIRST + 1  # sign, then the first bits
MANY = 1 << 15  # weights, for which the counts are cheap
CHUNK = 1 << 16
SPARED = 0.25  # bits of a weight that it may cost not to guess those behind
CHANCE = BEHIND / (2 * np.log(2))  # bits that chance alone seems to spare, of a tensor


def is_noisy(keys: np.ndarray) -> bool:
    """Whether the values of a float32 tensor, by their keys, are such weights."""
    sizes = magnitudes(keys)
    ones = np.array([(sizes >> bit & 1).mean() for bit in range(BEHIND)])
    shares = np.stack([ones, 1 - ones]).clip(1e-9)
    spared = BEHIND + (shares * np.log2(shares)).sum()
    return bool(len(keys) * (spared - SPARED) < CHANCE)


def code(coder, count: int, keys: np.ndarray | None, numbers) -> np.ndarray:
    """`count` keys, int64.

    Args:
        coder: `Writer`, `Reader` or `Meter`.
        count: of keys.
        keys: None where `coder` reads.
        numbers: codes the counts.

    Raises:
        ValueError: what is read are not the counts of so many weights.
    """
    counts = None
    if keys is not None:
        sizes = magnitudes(keys)
        words = (keys < 0).astype(np.int64) << WIDTH | sizes
        counts = np.bincount(words >> BEHIND, minlength=LEAVES)
    counts = numbers.code(coder, LEAVES, counts)
    if counts.max() > count or counts.sum() != count:
        raise ValueError("the counts of its weights are damaged")
    likely = _likely(counts)
    found = np.zeros(count, np.int64)
    for start in range(0, count, CHUNK):
        chunk = slice(start, min(count, start + CHUNK))
        part = None if keys is None else words[chunk]
        found[chunk] = _chunk(coder, chunk.stop - start, part, likely)
    sizes = found & (1 << WIDTH) - 1
    return np.where(found >> WIDTH, ~sizes, sizes)


def _likely(counts):
    """How probable a 1 is behind each beginning, 1 followed by its bits: (LEAVES,)."""
    below = np.zeros(2 * LEAVES, np.int64)
    below[LEAVES:] = counts
    for depth in range(FIRST, -1, -1):
        pairs = below[2 << depth : 4 << depth].reshape(-1, 2)
        below[1 << depth : 2 << depth] = pairs.sum(axis=1)
    ones, every = below[3::2], below[1:LEAVES]
    share = (ones * WHOLE + every // 2) // np.maximum(every, 1)
    return np.concatenate([[WHOLE // 2], share.clip(LEAST, MOST)])


def _chunk(coder, count, words, likely):
    node = np.ones(count, np.int64)
    for depth in range(FIRST + 1):
        bits = None if words is None else words >> (WIDTH - depth) & 1
        node = 2 * node + coder.code(bits, likely[node])
    behind = None if words is None else words & (1 << BEHIND) - 1
    return (node - LEAVES) << BEHIND | coder.code_evenly(behind, count, BEHIND)
