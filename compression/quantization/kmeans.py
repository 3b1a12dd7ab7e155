"""k-means of numbers: some millions of weights, a few values that stand for them.

On a line each cluster is an interval, so that once the weights are in order a step of
Lloyd's iteration costs next to nothing, whatever their number. Few are sorted; many are
counted, as float32, in bins a 4096th of their size wide, in memory that does not grow.

Han, Mao, Dally (2016), "Deep Compression", https://arxiv.org/abs/1510.00149, section
3.2 has the ways to begin; k-means++ is Arthur, Vassilvitskii (2007).
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

SORTED = 2**16  # so many weights at most are points themselves
SPARED = 12  # low bits of a float32 that a bin does not look at
CHUNK = 2**22  # weights that are looked at together
STEPS = 300  # of Lloyd's iteration, which ends by itself long before
STARTS = 4  # of k-means++, the best of which counts


class Points(NamedTuple):
    """Distinct numbers in order, float64, and how many weights are at each."""

    values: np.ndarray
    counts: np.ndarray


def points_of(weights: Iterable[np.ndarray]) -> Points:
    """The points of several arrays together, which are finite.

    Of more than 65,536 weights a point is the mean of those in its bin.
    """
    weights = [np.ravel(each) for each in weights]
    if sum(each.size for each in weights) <= SORTED:
        values, counts = np.unique(_joined(weights), return_counts=True)
        return Points(values.astype(np.float64), counts)
    counts = np.zeros(2 ** (32 - SPARED), np.int64)
    sums = np.zeros(len(counts))
    for each in weights:
        for start in range(0, each.size, CHUNK):
            part = each[start : start + CHUNK].astype(np.float32)
            bins = _bins(part)
            counts += np.bincount(bins, minlength=len(counts))
            sums += np.bincount(bins, weights=part, minlength=len(counts))
    there = np.flatnonzero(counts)
    return Points(sums[there] / counts[there], counts[there])


def _joined(weights):
    return np.concatenate(weights) if weights else np.zeros(0)


def _bins(weights):
    """Of float32 numbers, in the order of the numbers."""
    bits = weights.view(np.int32) >> SPARED
    # The bits of a negative number count backwards.
    half = 2 ** (31 - SPARED)
    return np.where(bits < 0, -1 - (bits & (half - 1)), bits) + half


def kmeans(
    points: Points, clusters: int, *, initialisation: str = "kmeans++", seed: int = 0
) -> np.ndarray:
    """The centroids, in order, float64; as many as there are points if they are fewer.

    Args:
        points: in order.
        clusters: how many centroids, at least 1.
        initialisation: "kmeans++": drawn, each far from those before, the best of
            several draws; "linear": evenly from the least to the largest; "density":
            with as many weights below as above each, of those that it stands for.
        seed: of what is drawn.
    """
    if len(points.values) <= clusters:
        return points.values
    sums = _Sums(points)
    if initialisation == "kmeans++":
        generator = np.random.default_rng(seed)
        found = [sums.lloyd(_drawn(points, clusters, generator)) for _ in range(STARTS)]
        return min(found, key=sums.error)
    if initialisation == "linear":
        begun = np.linspace(points.values[0], points.values[-1], clusters)
    else:
        middles = (np.arange(clusters) + 0.5) / clusters * points.counts.sum()
        begun = points.values[np.searchsorted(np.cumsum(points.counts), middles)]
    return sums.lloyd(begun)


INITIALISATIONS = ("kmeans++", "linear", "density")


def _drawn(points, clusters, generator):
    """k-means++: a point's chance grows as its squared distance to what is drawn.

    Greedy, section 7 of the paper: of several that are drawn the best one stays.
    """
    tries = 1  # of the first one all are as good
    chances = points.counts.astype(float)
    nearest = np.full(len(chances), np.inf)
    found = []
    for _ in range(clusters):
        up_to = np.cumsum(chances)
        at = np.searchsorted(up_to, generator.random(tries) * up_to[-1], side="right")
        drawn = points.values[at.clip(max=len(chances) - 1), None]
        squares = np.minimum(nearest, (drawn - points.values) ** 2)
        best = (squares @ points.counts).argmin()
        found.append(drawn[best, 0])
        nearest = squares[best]
        chances = points.counts * nearest
        tries = 2 + int(math.log(clusters))
    return np.sort(found)


class _Sums:
    """Counts, sums and sums of squares up to each point."""

    def __init__(self, points):
        self.values = points.values
        self.counts, self.firsts, self.squares = (
            np.append(0.0, np.cumsum(points.counts * points.values**power))
            for power in range(3)
        )

    def clusters(self, centroids):
        """Where each begins and, last, the number of points."""
        middles = (centroids[1:] + centroids[:-1]) / 2
        return np.r_[0, np.searchsorted(self.values, middles), len(self.values)]

    def lloyd(self, centroids):
        """Until nothing moves. A centroid that no point is next to stays."""
        edges = None
        for _ in range(STEPS):
            before, edges = edges, self.clusters(centroids)
            if before is not None and (before == edges).all():
                break
            counts, sums = np.diff(self.counts[edges]), np.diff(self.firsts[edges])
            means = sums / np.maximum(counts, 1)
            centroids = np.where(counts > 0, means, centroids)
            centroids.sort()
        return centroids[np.diff(edges) > 0]

    def error(self, centroids):
        """The sum of squared distances."""
        edges = self.clusters(centroids)
        counts, sums, squares = (
            np.diff(of[edges]) for of in (self.counts, self.firsts, self.squares)
        )
        return np.sum(squares - 2 * centroids * sums + centroids**2 * counts)
