"""A few values for many weights: found by k-means, perhaps weighed by their bits.

Entropy-constrained: Chou, Lookabaugh, Gray (1989), "Entropy-constrained vector
quantization", https://doi.org/10.1109/29.17498, on scalars, as Choi, El-Khamy, Lee
(2017), "Towards the Limit of Network Quantization", https://arxiv.org/abs/1612.01543,
section 5.2, choose the values of a net.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from compression.quantization.kmeans import Points, kmeans, points_of

CHUNK = 2**16  # weights that are looked at together
ROUNDS = 100  # of choosing by bits, which ends by itself before


class Codebook(NamedTuple):
    """Values in order, and where each takes over from the one below it."""

    values: np.ndarray
    edges: np.ndarray

    def codes(self, weights: np.ndarray) -> np.ndarray:
        """The number of the value of each weight, from 0, int16."""
        codes = np.empty(weights.size, np.int16)
        flat = weights.ravel()
        for start in range(0, flat.size, CHUNK):
            part = flat[start : start + CHUNK]
            found = np.searchsorted(self.edges, part, side="right")
            codes[start : start + CHUNK] = found
        return codes.reshape(weights.shape)


def codebook(
    parts: Sequence[np.ndarray],
    clusters: int,
    *,
    initialisation: str = "kmeans++",
    rate: float = 0.0,
    seed: int = 0,
) -> Codebook:
    """Of all weights of several arrays together.

    Where there are no more values than clusters already, they are the codebook: a net
    whose weights are shared stays as it is.

    Args:
        parts: finite, of one dtype.
        clusters: the most values.
        initialisation: as `kmeans` takes it.
        rate: what a bit of a weight's code costs, in mean squares of a weight. A code
            has -log2 of its frequency bits, which an entropy coder comes near to. More:
            fewer values, and some far more frequent than others. 0: bits cost nothing.
        seed: of what is drawn.
    """
    there = _distinct(parts, clusters)
    if there is not None:
        return Codebook(there, there[1:])
    points = points_of(parts)
    found = kmeans(points, clusters, initialisation=initialisation, seed=seed)
    edges = (found[1:] + found[:-1]) / 2
    if rate:
        found, edges = _by_bits(points, found, rate)
    return Codebook(found.astype(parts[0].dtype), edges)


def _distinct(parts, most):
    """The values in order if there are at most so many, otherwise None."""
    known = np.zeros(0, parts[0].dtype)
    for part in _chunks(parts):
        if known.size:
            at = np.searchsorted(known, part).clip(max=known.size - 1)
            part = part[known[at] != part]
        known = np.union1d(known, part)
        if known.size > most:
            return None
    return known


def _chunks(parts: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    for part in parts:
        flat = part.ravel()
        for start in range(0, flat.size, CHUNK):
            yield flat[start : start + CHUNK]


def _by_bits(points: Points, centroids, rate):
    """Centroids and edges at which squared error plus `rate` times bits is least.

    Each weight goes where both together cost least, then values and frequencies
    follow, until no weight moves: neither step can raise the sum.
    """
    values, counts = points
    weight = rate * np.average(values**2, weights=counts)
    middles = (centroids[1:] + centroids[:-1]) / 2
    codes = np.searchsorted(middles, values, side="right")
    for _ in range(ROUNDS):
        used, codes = np.unique(codes, return_inverse=True)
        sizes = np.bincount(codes, weights=counts)
        centroids = np.bincount(codes, weights=counts * values) / sizes
        bits = -np.log2(sizes / sizes.sum())
        before, codes = codes, _cheapest(values, centroids, weight * bits)
        if (codes == before).all():
            break
    used, codes = np.unique(codes, return_inverse=True)
    starts = np.flatnonzero(np.diff(codes)) + 1
    return centroids[used], (values[starts] + values[starts - 1]) / 2


def _cheapest(values, centroids, prices):
    """Of (v - c)^2 + price the least, for each value: on a line these are intervals."""
    codes = np.empty(len(values), int)
    for start in range(0, len(values), CHUNK):
        part = values[start : start + CHUNK, None]
        # Less v^2, which is the same for all.
        costs = (centroids**2 + prices) - 2 * part * centroids
        codes[start : start + CHUNK] = costs.argmin(axis=1)
    return codes
