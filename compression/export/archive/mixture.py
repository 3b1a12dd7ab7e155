"""How probable a 1 is: many adaptive counts, mixed. Whole numbers only.

Counts of zeros and ones are kept in many contexts at once, and the log-odds that they
give are added up with weights that learn online which contexts can be trusted
(logistic mixing; Mahoney, Adaptive weighing of context models for lossless data
compression, Florida Tech CS-2005-16). Three things are made for small tensors, whose
cost is what the model has to learn:

- a context starts where a wider one stands: its counts begin with a few imaginary bits
  of the wider one's probability, and what is mixed is how far it has moved from there;
- each context has a weight for each number of bits that it has seen, in octaves;
- the widest context and the weights are carried from one tensor to the next.

A chunk of bits is predicted at once and learned from at once: numpy is quick then.
"""

from collections.abc import Sequence

import numpy as np

from compression.export.archive.integer_logarithm import (
    PROBABILITY_BITS,
    WHOLE,
    log2_table,
    probability,
)

BIT = 256  # what one bit adds to a count
MOST_BITS = 1023  # that a context remembers: then its counts are halved
MOST_AT_ONCE = 1000  # bits of a chunk: counts stay below the logarithms' `LARGEST`
OCTAVES = np.array([bits.bit_length() for bits in range(MOST_BITS + MOST_AT_ONCE + 1)])
ONE = 1 << 16  # stands for the weight 1
FIRST_COUNT = 26  # tenth of a bit, of the widest context
START = (
    1 * BIT,
    4 * BIT,
)  # imaginary bits: of the second context, of the narrower ones
CARRIED_BITS = 24  # of the widest context, that the next tensor still believes
RATE_SHIFT = 18
AT_ONCE = 16  # bits of a chunk that count in full for the weights


class Mixture:
    """Predicts one kind of bit.

    Context 0 is the widest and is carried over; context 1 lies in it; each other one
    lies in context 1.

    Args:
        sizes: how many different contexts of each kind there are, in 0 and 1 first.
        weight: of contexts 2 and on, at first.
    """

    def __init__(self, sizes: Sequence[int], *, weight: float = 0.3):
        kinds = len(sizes)
        self._weights = np.zeros((kinds, int(OCTAVES[-1]) + 1), np.int64)
        self._weights[1] = ONE
        self._weights[2:] = int(weight * ONE)
        self._kinds = np.arange(kinds)[:, None]
        self._log2 = log2_table()
        self._counts = np.zeros((2, 0), np.int64)
        self._first = 0
        self.renew(sizes)

    def renew(self, sizes: Sequence[int]) -> None:
        """Forgets everything but the weights and, for the most part, context 0."""
        carried = self._counts[:, : self._first]
        total = carried.sum(axis=0).clip(1)
        keep = np.minimum(total, CARRIED_BITS * BIT)
        carried = carried * keep // total
        self._first = sizes[0]
        self._offsets = np.concatenate([[0], np.cumsum(sizes)[:-1]])[:, None]
        self._counts = np.zeros((2, int(np.sum(sizes))), np.int64)
        length = min(carried.shape[1], sizes[0])
        self._counts[:, :length] = carried[:, :length]

    def predict(self, contexts: np.ndarray) -> np.ndarray:
        """(n,) probabilities of a 1, in 1/65536, for (kinds, n) contexts."""
        log2 = self._log2
        self._at = at = contexts + self._offsets
        zeros, ones = self._counts[:, at]
        seen = (zeros + ones) // BIT
        odds = np.empty(at.shape, np.int64)
        odds[0] = log2[ones[0] + FIRST_COUNT] - log2[zeros[0] + FIRST_COUNT]
        for part, start in zip((slice(1, 2), slice(2, None)), START, strict=True):
            wider = odds[0] if part.start == 1 else odds[1]
            likely = probability(wider)
            more = start * likely >> PROBABILITY_BITS
            odds[part] = (
                log2[ones[part] + more + 1] - log2[zeros[part] + (start - more)]
            )
        odds[2:] -= odds[1]
        self._slots = OCTAVES[seen]
        self._odds, self._seen = odds, seen
        mixed = (self._weights[self._kinds, self._slots] * odds).sum(axis=0)
        self._likely = probability(mixed >> PROBABILITY_BITS)
        return self._likely

    def learn(self, bits: np.ndarray) -> None:
        """What the bits were that `predict` was asked for last."""
        errors = bits * WHOLE - self._likely
        # Summed before they are rounded, to the nearest: of many small steps that are
        # rounded down, weights would sink.
        slopes = np.zeros_like(self._weights)
        np.add.at(slopes, (self._kinds, self._slots), errors * self._odds)
        slopes //= max(1, len(bits) // AT_ONCE)
        self._weights += slopes + (1 << RATE_SHIFT - 1) >> RATE_SHIFT
        which = np.broadcast_to(bits, self._at.shape)
        np.add.at(self._counts, (which, self._at), BIT)
        full = self._seen >= MOST_BITS
        if full.any():
            at = np.unique(self._at[full])
            self._counts[:, at] -= self._counts[:, at] >> 1
