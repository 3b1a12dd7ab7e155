"""k-means of numbers, against the optimum that dynamic programming finds."""

import numpy as np
import pytest

from compression.quantization import kmeans as module
from compression.quantization.kmeans import kmeans, points_of


def best_error(values, clusters):
    """The least sum of squared distances of all ways to cut a sorted array."""
    values = np.sort(values.astype(float))
    n = len(values)
    first, second = np.zeros(n + 1), np.zeros(n + 1)
    first[1:], second[1:] = values.cumsum(), (values**2).cumsum()

    def cost(i, j):  # of values i to j - 1 around their mean
        return second[j] - second[i] - (first[j] - first[i]) ** 2 / (j - i)

    least = np.array([0.0] + [cost(0, j) for j in range(1, n + 1)])
    for _ in range(clusters - 1):
        least = np.array(
            [0.0]
            + [min(least[i] + cost(i, j) for i in range(j)) for j in range(1, n + 1)]
        )
    return least[-1]


def error(values, centroids):
    return ((values[:, None] - centroids) ** 2).min(axis=1).sum()


def test_by_hand():
    """Of 0, 1, 2, 9, 10, 20: {0, 1, 2}, {9, 10}, {20} have squares 2 and 0.5."""
    points = points_of([np.array([9.0, 0, 1]), np.array([2.0, 10, 20])])
    for initialisation in ("kmeans++", "linear"):
        found = kmeans(points, 3, initialisation=initialisation)
        np.testing.assert_array_equal(found, [1, 9.5, 20])
    # From 0, 2 and 10 Lloyd's iteration ends elsewhere: a step cannot leave it.
    found = kmeans(points, 3, initialisation="density")
    np.testing.assert_array_equal(found, [0, 1.5, 13])


@pytest.mark.parametrize("clusters", [2, 5, 16])
@pytest.mark.parametrize("kind", ["normal", "heavy", "doubled"])
def test_kmeans_plus_plus_is_near_the_optimum(kind, clusters):
    generator = np.random.default_rng(clusters)
    values = generator.normal(size=90)
    values = values**3 if kind == "heavy" else values
    values = np.round(values, 1) if kind == "doubled" else values
    least = best_error(values, clusters)
    found = error(values, kmeans(points_of([values]), clusters))
    assert least * (1 - 1e-9) <= found <= 1.15 * least + 1e-12
    again = error(values, kmeans(points_of([values]), clusters, seed=1))
    assert again <= 1.15 * least + 1e-12


def test_first_centroids_are_the_papers(monkeypatch):
    """Section 3.2: linear from least to largest; density at equal steps of the CDF."""
    begun = []
    monkeypatch.setattr(
        module._Sums, "lloyd", lambda self, centroids: begun.append(centroids)
    )
    points = points_of([np.array([-1.0, 0, 0, 0, 0, 0, 0, 1, 2, 7])])
    kmeans(points, 3, initialisation="linear")
    kmeans(points, 3, initialisation="density")
    np.testing.assert_array_equal(begun[0], [-1, 3, 7])
    np.testing.assert_array_equal(begun[1], [0, 0, 2])  # 1.67, 5 and 8.33 of 10 below


def test_the_same_seed_draws_the_same():
    points = points_of([np.random.default_rng(0).normal(size=1000)])
    first, again = (kmeans(points, 20, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (kmeans(points, 20, seed=4) != first).any()


def test_few_points_are_their_own_centroids():
    values = np.array([3.0, -1, 3, 0.5])
    np.testing.assert_array_equal(kmeans(points_of([values]), 3), [-1, 0.5, 3])


def test_bins_are_in_the_order_of_their_numbers():
    generator = np.random.default_rng(0)
    size = 10.0 ** generator.uniform(-44, 38, 2000)  # from the least to the largest
    numbers = np.sort(size * generator.choice([-1, 1], 2000)).astype("float32")
    numbers = np.sort(np.concatenate([numbers, [0, -0.0]]).astype("float32"))
    bins = module._bins(numbers)
    assert (np.diff(bins) >= 0).all()
    assert bins.min() >= 0 and bins.max() < 2 ** (32 - module.SPARED)


def test_many_weights_in_bins_are_as_good_as_sorted(monkeypatch):
    values = np.random.default_rng(0).normal(size=(3, 40_000)).astype("float32")
    binned = points_of(values)
    assert len(binned.values) < values.size / 2
    assert binned.counts.sum() == values.size
    mean = np.average(binned.values, weights=binned.counts)
    assert mean == pytest.approx(values.astype(float).mean(), rel=1e-9)
    monkeypatch.setattr(module, "SORTED", values.size)
    exact = points_of(values)
    for initialisation in ("linear", "density"):
        near = kmeans(binned, 16, initialisation=initialisation)
        best = kmeans(exact, 16, initialisation=initialisation)
        at = values[:, :4000].ravel().astype(float)
        assert error(at, near) == pytest.approx(error(at, best), rel=0.01)
