"""Which weights of a tensor are zero, coded from what is known of their neighbours.

A tensor is seen as (places, inputs, outputs): the pixels of a convolution's kernel, its
channels in and out; or, of a dense kernel behind a Flatten, the pixels and channels
that were flattened. Pruned kernels have empty rows and columns, dead pixels, and
filters whose zeros lie together: each is a context of `Mixture`.
"""

from math import isqrt, prod

import numpy as np

from compression.export.archive.integer_logarithm import LARGEST, log2_table
from compression.export.archive.mixture import Mixture

LEVELS = 17  # of a density: in half octaves around the mean one
MIDDLE = LEVELS // 2
DOUBT = 4  # imaginary weights of the mean density, of a row or column
FINE = 64  # parts of one weight, in densities
MOST_KERNEL = 15  # weights of one kernel that are counted
PATTERNS = 64
MOST_PLACES = 1 << 10
FEW_OUTPUTS = 32  # fewer than inputs: rows and columns are exchanged
SIDES = (4, 5, 6, 7, 8)  # that are tried
CHUNK, LARGE_CHUNK = 64, 256
LARGE = 1 << 19  # weights, from which speed comes first
GROWTH = 16  # a chunk is a 16th of what is known by then, at most


def kernel_shape(shape: tuple[int, ...], side: int) -> tuple[int, int, int]:
    """(places, inputs, outputs) of a tensor.

    Args:
        shape: of the tensor.
        side: of the square image that a matrix's rows were, flattened; 0: none was.
    """
    if len(shape) < 2:
        return 1, 1, prod(shape)
    *places, inputs, outputs = shape
    places = prod(places)
    if side:
        return side * side, inputs // (side * side), outputs
    if places > MOST_PLACES:
        return 1, places * inputs, outputs
    return places, inputs, outputs


def sides(shape: tuple[int, ...]) -> list[int]:
    """Sides of images that the rows of a matrix may well have been; 0 first."""
    if len(shape) != 2 or shape[0] * shape[1] > LARGE:
        return [0]
    rows, whole = shape[0], isqrt(shape[0])
    small = [side for side in SIDES if side < whole and rows % side**2 == 0]
    square = whole**2 == rows and 1 < rows <= MOST_PLACES
    return [0, *small, *([whole] if square else [])]


def rows(shape: tuple[int, ...]) -> int:
    """How many rows `Positions` goes through, of a tensor with zeros."""
    places, inputs, outputs = kernel_shape(shape, 0)
    return places * (outputs if outputs < min(inputs, FEW_OUTPUTS) else inputs)


class Positions:
    """Codes the zeros of one tensor after the other."""

    def __init__(self):
        self._mixture = Mixture([1, 1] + 8 * [1])

    def code(
        self, coder, shape: tuple[int, int, int], nonzero: np.ndarray | None
    ) -> np.ndarray:
        """(places, inputs, outputs) int64, 1 where a weight is not zero.

        Args:
            coder: writes, reads or meters.
            shape: (places, inputs, outputs).
            nonzero: what shall be returned; None where `coder` reads it.
        """
        places, inputs, outputs = shape
        if outputs < min(inputs, FEW_OUTPUTS):  # chunks run along the outputs
            turned = None if nonzero is None else nonzero.transpose(0, 2, 1)
            found = self.code(coder, (places, outputs, inputs), turned)
            return found.transpose(0, 2, 1)
        self._mixture.renew(
            [1, 1, places * inputs, inputs, outputs, places, LEVELS * LEVELS]
            + [(MOST_KERNEL + 1) ** 2, PATTERNS, 32 * LEVELS]
        )
        known = _Known(shape)
        longest = CHUNK if places * inputs * outputs < LARGE else LARGE_CHUNK
        for source in range(inputs):
            for place in range(places):
                known.begin_row(place, source)
                start = 0
                while start < outputs:
                    length = min(longest, outputs - start, 1 + known.seen // GROWTH)
                    chunk = slice(start, start + length)
                    ones = self._mixture.predict(known.contexts(chunk))
                    given = None if nonzero is None else nonzero[place, source, chunk]
                    bits = coder.code(given, ones)
                    self._mixture.learn(bits)
                    known.add(chunk, bits)
                    start += length
        return known.nonzero


class _Known:
    """What has been coded of a tensor, and the contexts that it gives."""

    def __init__(self, shape):
        places, inputs, outputs = shape
        self.nonzero = np.zeros(shape, np.int64)
        self.seen = self.ones = 0
        self._width = isqrt(places)
        self._rows = np.zeros((places, inputs, 2), np.int64)  # weights, of them not 0
        self._columns = np.zeros(outputs, np.int64)
        self._kernels = np.zeros((inputs, outputs), np.int64)
        self._empty = np.zeros(outputs, np.int64)
        self._log2 = log2_table()
        self._complete = 0  # rows

    def begin_row(self, place, source):
        """The next chunks are of this row."""
        self._place, self._source = place, source
        rows, width = self._rows, self._width
        near = [(place, source - 1)]
        near += [(place - 1, source), (place - width, source)]
        near += [(place - width - 1, source), (place - width + 1, source)]
        near = [
            (p, s) if p >= 0 and s >= 0 and p < place + (s < source) else None
            for p, s in near
        ]
        self._near = [self._empty if n is None else self.nonzero[n] for n in near]
        counts = [rows[n] for n in near[:3] if n is not None]
        self._near_counts = np.sum(counts, axis=0) if counts else np.zeros(2, np.int64)
        before = self._near[0] if near[0] is not None else self._near[1]
        sums = np.concatenate([[0, 0, 0], before, [0, 0]]).cumsum()
        self._window = sums[5:] - sums[:-5]  # of 5 outputs, in the row before

    def contexts(self, chunk):
        """(10, n)."""
        place, source = self._place, self._source
        length = chunk.stop - chunk.start
        kernels = np.minimum(self._kernels[source, chunk], MOST_KERNEL)
        inputs, left, above, corner, other = (each[chunk] for each in self._near)
        weights, ones = self._rows[place, source] * 2 + self._near_counts
        row = self._level(np.array([ones]), weights)
        column = self._level(self._columns[chunk], self._complete)
        window = self._window[chunk] * 4 + inputs * 2 + left
        found = np.empty((10, length), np.int64)
        found[0] = found[1] = 0
        found[2] = place * self._rows.shape[1] + source
        found[3] = source
        found[4] = np.arange(chunk.start, chunk.stop)
        found[5] = place
        found[6] = row * LEVELS + column
        found[7] = kernels * (MOST_KERNEL + 1) + min(place, MOST_KERNEL)
        found[8] = inputs + 2 * left + 4 * above + 8 * corner + 16 * other
        found[9] = np.minimum(window, 31) * LEVELS + column
        return found

    def _level(self, ones, weights):
        """How dense, beside the whole: 0 to 16, in half octaves from MIDDLE."""
        mean = DOUBT * FINE * (self.ones + 1) // (self.seen + 2) + 1
        log2 = self._log2
        weights = FINE * weights + DOUBT * FINE
        scale = max(0, int(weights).bit_length() - 18)  # within the table
        density = log2[np.minimum((FINE * ones + mean) >> scale, LARGEST - 1)]
        density = density - log2[weights >> scale]
        scale = max(0, (self.seen + 2).bit_length() - 18)
        whole = log2[(self.ones + 1) >> scale] - log2[(self.seen + 2) >> scale]
        return ((density - whole >> 11) + MIDDLE).clip(0, LEVELS - 1)

    def add(self, chunk, bits):
        """What has been coded, of this row."""
        length, ones = len(bits), int(bits.sum())
        self.nonzero[self._place, self._source, chunk] = bits
        self._columns[chunk] += bits
        self._kernels[self._source, chunk] += bits
        self._rows[self._place, self._source] += (length, ones)
        self.seen += length
        self.ones += ones
        self._complete += chunk.stop == len(self._columns)
