"""Weights that are not zero and have few values: which of them each one has.

The values of a tensor are numbered from zero outwards, on either side. A weight's sign
is coded first, then its number's bits from the highest on; what is expected of them
depends on how large the weights around it were: of the same row, column and kernel.
"""

import numpy as np

from compression.export.archive.integer_logarithm import log2_table
from compression.export.archive.mixture import Mixture

LEVELS = 17  # of a mean size: in eighths of an octave around that of all weights
MIDDLE = LEVELS // 2
SIZES = 256  # a value's number is scaled to it, for means
DOUBT = 4  # imaginary weights of the mean size, of a row, column or kernel
NODES = 1 << 8  # beginnings of a number that are told apart
DEEP = 16  # bits behind them
DENSITIES = 64  # in eighths: of a column, of a kernel
CHUNK = 512
GROWTH = 32


class SharedValues:
    """Codes the values' numbers of one tensor after the other."""

    def __init__(self):
        self._signs = Mixture(6 * [1])
        self._numbers = Mixture(8 * [1])

    def code(
        self,
        coder,
        nonzero: np.ndarray,
        sides: tuple[int, int],
        values: np.ndarray | None,
    ) -> np.ndarray:
        """int64 (n,): -k of the k-th value below zero, k of the k-th above it.

        In the order of `positions`: inputs, then places, then outputs.

        Args:
            nonzero: (places, inputs, outputs) int64.
            sides: how many values are below and above zero.
            values: what shall be returned; None where `coder` reads it.
        """
        source, place, output = np.nonzero(nonzero.transpose(1, 0, 2))
        count = len(source)
        known = _Known(nonzero, sides, (place, source, output))
        places, inputs, outputs = nonzero.shape
        self._signs.renew([1, 1, inputs, outputs, places, 27])
        nodes = NODES + DEEP
        self._numbers.renew(
            [nodes, nodes, 2 * nodes] + [nodes * LEVELS] * 4 + [nodes * DENSITIES]
        )
        found = np.zeros(count, np.int64)
        start = 0
        while start < count:
            chunk = slice(start, min(count, start + min(CHUNK, 1 + start // GROWTH)))
            part = None if values is None else values[chunk]
            negative = self._sign(coder, known, chunk, part)
            numbers = self._number(coder, known, chunk, negative, part)
            found[chunk] = np.where(negative, -1 - numbers, 1 + numbers)
            known.add(chunk, found[chunk])
            start = chunk.stop
        return found

    def _sign(self, coder, known, chunk, given):
        below, above = known.sides
        if not below or not above:
            return np.full(chunk.stop - chunk.start, int(not above))
        ones = self._signs.predict(known.sign_contexts(chunk))
        bits = coder.code(None if given is None else (given < 0).astype(int), ones)
        self._signs.learn(bits)
        return bits

    def _number(self, coder, known, chunk, negative, given):
        """From 0, of each weight on its side."""
        counts = np.array(known.sides[::-1])[negative]  # how many values there are
        width = int(max(known.sides) - 1).bit_length()
        numbers = None if given is None else np.abs(given) - 1
        found = np.zeros(len(counts), np.int64)
        *levels, density = known.levels(chunk)
        for depth in range(width):
            low = width - 1 - depth
            upper = (2 * found + 1) << low  # the least number whose next bit is 1
            at = np.flatnonzero(upper < counts)
            found *= 2
            if not len(at):
                continue
            node = (1 << depth) + found[at] // 2
            if 1 << depth >= NODES:
                node = np.full(len(at), NODES + depth)
            contexts = [node, node, node + (NODES + DEEP) * negative[at]]
            contexts += [node * LEVELS + level[at] for level in levels]
            contexts += [node * DENSITIES + density[at]]
            ones = self._numbers.predict(np.stack(contexts))
            part = None if numbers is None else numbers[at] >> low & 1
            bits = coder.code(part, ones)
            self._numbers.learn(bits)
            found[at] += bits
        return found


class _Known:
    """What has been coded of a tensor, and the contexts that it gives."""

    def __init__(self, nonzero, sides, where):
        places, inputs, outputs = nonzero.shape
        self.sides = sides
        self._place, self._source, self._output = where
        self._log2 = log2_table()
        self._scale = SIZES * 1024 // max(sides)
        # Of rows, columns and kernels: how many weights, sum of their sizes.
        groups = places * inputs, outputs, inputs * outputs
        self._sums = [np.zeros((2, n), np.int64) for n in groups]
        self._groups = (
            self._source * places + self._place,
            self._output,
            self._source * outputs + self._output,
        )
        self._count = self._sum = 0
        # One row and column of zeros around stand in for neighbours that are not there.
        self._values = np.zeros((places + 1, inputs + 1, outputs), np.int64)
        dense = (nonzero.sum(axis=(0, 1)) * 8 // max(1, places * inputs)).clip(0, 7)
        kernels = (nonzero.sum(axis=0) * 7 // places).clip(0, 7)
        self._density = dense * 8 + kernels

    def sign_contexts(self, chunk):
        """(6, n)."""
        place, source, output = self._at(chunk)
        left = np.sign(self._values[place, source + 1, output])
        inner = np.sign(self._values[place + 1, source, output])
        before = np.sign(self._values[place, source, output])
        zero = np.zeros_like(place)
        around = 9 * left + 3 * inner + before + 13
        return np.stack([zero, zero, source, output, place, around])

    def levels(self, chunk):
        """Of row, column, kernel, neighbours; and how dense column and kernel are."""
        place, source, output = self._at(chunk)
        mean = (SIZES // 2 * DOUBT + self._sum) // (self._count + DOUBT) + 1
        found = []
        for group, (count, total) in zip(self._groups, self._sums, strict=True):
            at = group[chunk]
            found.append(self._level(count[at], total[at], mean))
        left = self._values[place, source + 1, output]
        inner = self._values[place + 1, source, output]
        near = np.abs(np.stack([left, inner]))
        sizes = (near * self._scale >> 10).sum(axis=0)
        found.append(self._level((near > 0).sum(axis=0), sizes, mean))
        return [*found, self._density[source, output]]

    def _level(self, count, total, mean):
        """How large on average: 0 to LEVELS - 1, the eighths of octaves from MIDDLE."""
        own = self._log2[16 * (total + DOUBT * mean) // (count + DOUBT) + 1]
        return ((own - self._log2[16 * mean + 1] >> 9) + MIDDLE).clip(0, LEVELS - 1)

    def _at(self, chunk):
        return self._place[chunk], self._source[chunk], self._output[chunk]

    def add(self, chunk, values):
        """What has been coded."""
        sizes = np.abs(values) * self._scale >> 10
        for group, (count, total) in zip(self._groups, self._sums, strict=True):
            np.add.at(count, group[chunk], 1)
            np.add.at(total, group[chunk], sizes)
        self._count += len(values)
        self._sum += int(sizes.sum())
        place, source, output = self._at(chunk)
        self._values[place + 1, source + 1, output] = values
