"""Whole numbers of no known size: how many values, tables of shared values."""

import numpy as np

from compression.export.archive.mixture import Mixture

LENGTH_BITS = 6
LENGTHS = 1 << LENGTH_BITS  # a number below 2^63 has up to 63 bits
AT_ONCE = (8, 64)  # numbers: their lengths, their bits
LEADING = 3  # bits after the first one that depend on those before them


class Numbers:
    """Codes numbers from 0 to 2^63 - 1: first how many bits one has, then the bits."""

    def __init__(self):
        sizes = (LENGTHS, LENGTHS, LENGTHS * LENGTHS)
        self._lengths = Mixture(sizes)
        self._bits = Mixture([LENGTHS * (1 << LEADING) + LENGTHS] * 2)

    def code(self, coder, count: int, numbers: np.ndarray | None) -> np.ndarray:
        """`count` numbers in turn, int64; `numbers` is None where `coder` reads."""
        found = np.zeros(count, np.int64)
        lengths = np.zeros(count, np.int64)
        given = None if numbers is None else bit_lengths(numbers)
        for chunk in _chunks(count, AT_ONCE[0]):
            before = lengths[chunk.start - 1] if chunk.start else 0
            part = None if given is None else given[chunk]
            lengths[chunk] = self._length(coder, chunk.stop - chunk.start, before, part)
        for chunk in _chunks(count, AT_ONCE[1]):
            part = None if numbers is None else numbers[chunk]
            found[chunk] = self._number(coder, lengths[chunk], part)
        return found

    def one(self, coder, number: int | None) -> int:
        """A single number."""
        given = None if number is None else np.array([number], np.int64)
        return int(self.code(coder, 1, given)[0])

    def _length(self, coder, count, before, given):
        node = np.ones(count, np.int64)
        for bit in range(LENGTH_BITS - 1, -1, -1):
            ones = self._lengths.predict(
                np.stack([node, node, node * LENGTHS + before])
            )
            part = None if given is None else given >> bit & 1
            bits = coder.code(part, ones)
            self._lengths.learn(bits)
            node = 2 * node + bits
        return node - LENGTHS

    def _number(self, coder, lengths, given):
        """Bits from the second on: the first is 1."""
        found = np.minimum(lengths, 1)
        longest = int(lengths.max(initial=0))
        for depth in range(1, longest):
            at = np.flatnonzero(lengths > depth)
            left = lengths[at] - 1 - depth  # bits behind this one
            if depth <= LEADING - 1:
                context = lengths[at] * (1 << LEADING) + found[at]
            else:
                context = LENGTHS * (1 << LEADING) + left
            ones = self._bits.predict(np.stack([context, context]))
            bits = coder.code(None if given is None else given[at] >> left & 1, ones)
            self._bits.learn(bits)
            found[at] = 2 * found[at] + bits
        return found


def bit_lengths(numbers: np.ndarray) -> np.ndarray:
    """Of each how many bits it has, 0 of 0."""
    numbers = np.asarray(numbers, np.int64).copy()
    lengths = np.zeros_like(numbers)
    for step in (32, 16, 8, 4, 2, 1):
        more = numbers >> step > 0
        lengths += np.where(more, step, 0)
        numbers = np.where(more, numbers >> step, numbers)
    return lengths + (numbers > 0)


def _chunks(count, length):
    """The first ones are short: what they say helps the next ones."""
    start = 0
    while start < count:
        stop = min(count, start + min(length, 1 + start // 2))
        yield slice(start, stop)
        start = stop
