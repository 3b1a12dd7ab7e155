"""Weights of which nearly each has a value of its own: bit after bit.

Sign, exponent and the first bits of the mantissa are predicted, each from those before
it; what follows is noise, unless the numbers were rounded to fewer bits, which shows.
Where it is known to be noise it is not predicted, and more values are coded at once.
"""

import numpy as np

from compression.export.archive.keys import magnitudes
from compression.export.archive.mixture import Mixture

NODES = 1 << 12  # beginnings that are told apart: of float32 sign, exponent, 3 bits
DEEP = 64
CHUNK = 1000
GROWTH, NOISY_GROWTH = 8, 2


class PlainValues:
    """Codes keys (see `keys`) of one width, of one tensor after the other."""

    def __init__(self, width: int):
        self._width = width
        self._mixture = Mixture(3 * [1])

    def code(
        self, coder, count: int, keys: np.ndarray | None, noise: int = 0
    ) -> np.ndarray:
        """`count` keys, int64; `keys` is None where `coder` reads.

        The last `noise` bits of each are not guessed: they come as they are.
        """
        self._mixture.renew([NODES + DEEP, NODES + DEEP, NODES + DEEP])
        found = np.zeros(count, np.int64)
        growth = NOISY_GROWTH if noise else GROWTH
        start = 0
        while start < count:
            chunk = slice(start, min(count, start + min(CHUNK, 1 + start // growth)))
            part = None if keys is None else keys[chunk]
            found[chunk] = self._chunk(coder, chunk.stop - start, part, noise)
            start = chunk.stop
        return found

    def _chunk(self, coder, count, keys, noise):
        words = None
        if keys is not None:
            words = magnitudes(keys), (keys < 0).astype(np.int64)
        negative = self._bit(coder, count, words, -1, np.zeros(count, np.int64), None)
        found = np.zeros(count, np.int64)
        for depth in range(self._width - noise):
            found = 2 * found + self._bit(coder, count, words, depth, found, negative)
        if noise:
            behind = None if words is None else words[0] & (1 << noise) - 1
            found = found << noise | coder.code_evenly(behind, count, noise)
        return np.where(negative, ~found, found)

    def _bit(self, coder, count, words, depth, found, negative):  # noqa: PLR0913
        """The next bit: the sign, or that behind `depth` bits of the magnitude."""
        if depth < 0:
            node = signed = np.ones(count, np.int64)
        elif depth < 11:
            node = found + (1 << depth)
            signed = (NODES >> 1) * negative + node
        else:
            node = signed = np.full(count, NODES + depth)
        deeper = node if depth < 11 else np.full(count, NODES)
        ones = self._mixture.predict(np.stack([node, signed, deeper]))
        bits = None
        if words is not None:
            sizes, signs = words
            bits = signs if depth < 0 else sizes >> (self._width - 1 - depth) & 1
        bits = coder.code(bits, ones)
        self._mixture.learn(bits)
        return bits
