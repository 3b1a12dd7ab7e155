"""How often values come in a stream of tensors, in memory that does not grow."""

import math

import numpy as np

BINS = 4096  # at most, and more than half as many: of Migacz (2017) 2048


class Histogram:
    """Counts in bins that widen: [k w, (k + 1) w) for whole k and a power of two w.

    When values come that would take more than `bins`, w doubles and each two bins
    become one. No count is ever split, so the order of the values changes nothing.
    Exact zeros, of which a ReLU makes many, are counted apart: no range rounds them.

    Args:
        bins: the most that there may be, at least 2.

    Attributes:
        low, high: the lowest and the highest value, 0 where there are none.
        zeros: how many values are 0.
        width: of a bin, w; None until a value is not 0.
        first: k of the first bin.
        counts: of the bins, int64.
    """

    def __init__(self, bins: int = BINS):
        self.bins = bins
        self.low, self.high = math.inf, -math.inf
        self.zeros = 0
        self.width = None
        self.first = 0
        self.counts = np.zeros(0, np.int64)

    def add(self, values: np.ndarray) -> None:
        """Counts `values`, of any shape.

        Raises:
            ValueError: one is not finite.
        """
        values = np.asarray(values, np.float32).ravel()
        if not values.size:
            return
        low, high = float(values.min()), float(values.max())
        if not math.isfinite(low + high):
            raise ValueError("values are not finite")
        self.low, self.high = min(self.low, low), max(self.high, high)
        there = values[values != 0]
        self.zeros += values.size - there.size
        if not there.size:
            return
        self._widen()
        numbers = np.floor(there / np.float32(self.width)).astype(np.int64)
        first = int(numbers.min())
        self._put(first, np.bincount(numbers - first))

    @property
    def centres(self) -> np.ndarray:
        """Of the bins, float64."""
        return (self.first + np.arange(len(self.counts)) + 0.5) * (self.width or 1.0)

    def _widen(self):
        """Makes w the least power of two with which all values and 0 fit."""
        span = max(self.high, 0.0) - min(self.low, 0.0)
        least = float(np.finfo(np.float32).tiny)  # what is smaller divides by nothing
        # One bin less: ends lie within bins.
        exponent = math.ceil(math.log2(max(span / (self.bins - 1), least)))
        if self.width is None:
            self.width = 2.0**exponent
        halvings = exponent - round(math.log2(self.width))
        if halvings <= 0:
            return
        self.width = 2.0**exponent
        numbers = (self.first + np.arange(len(self.counts))) >> halvings
        counts, self.counts = self.counts, np.zeros(0, np.int64)
        if len(counts):
            merged = np.bincount(numbers - numbers[0], weights=counts)
            self._put(int(numbers[0]), merged.astype(np.int64))

    def _put(self, first, counts):
        if not len(self.counts):
            self.first, self.counts = first, counts.astype(np.int64)
            return
        start = min(self.first, first)
        end = max(self.first + len(self.counts), first + len(counts))
        whole = np.zeros(end - start, np.int64)
        whole[self.first - start :][: len(self.counts)] += self.counts
        whole[first - start :][: len(counts)] += counts
        self.first, self.counts = start, whole
