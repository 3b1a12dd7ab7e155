"""Pruned and clustered weights to code: made by chance, or of a .keras file."""

from pathlib import Path

import numpy as np

ROUNDS = 20  # of k-means
BIASES = 0.1  # their deviation


def made(name: str, *, small: bool = False) -> list[np.ndarray]:
    """Kernels and biases like those of a published net, float32, always the same.

    "squeezenet": SqueezeNet 1.0, Laplacian weights of which a third is left, up to 255
    shared values a layer (of centroids that start evenly spaced, some stay empty).
    "lenet_300_100", "lenet5": normal weights of which 1.7 % and 2 % are left, unevenly
    over units, 15 shared values a layer, biases too.

    Args:
        name: which.
        small: a few of its layers.
    """
    random = np.random.default_rng(0)
    shapes = {
        "squeezenet": _squeezenet,
        "lenet_300_100": lambda: [(784, 300), (300, 100), (100, 10)],
        "lenet5": lambda: [(5, 5, 1, 20), (5, 5, 20, 50), (800, 500), (500, 10)],
    }[name]()
    arrays = []
    for shape in shapes[-2:] if small else shapes:
        if name == "squeezenet":
            kernel = shared(_pruned(random.laplace(size=shape), 1 / 3), 255)
            bias = random.normal(size=shape[-1]) * BIASES
        else:
            units = random.gamma(0.5, size=shape[-1]) * random.gamma(
                0.5, size=(*shape[:-1], 1)
            )
            density = {300: 0.014, 100: 0.03, 500: 0.015}.get(shape[-1], 0.12)
            kernel = random.normal(size=shape) * np.sqrt(units)
            kernel = shared(_pruned(kernel, density), 15)
            bias = shared(random.normal(size=shape[-1]) * BIASES, 15)
        arrays += [kernel.astype("f4"), bias.astype("f4")]
    return arrays


def of_file(path: Path) -> list[np.ndarray]:
    """The weights of a .keras or .limbeck file."""
    from compression import export

    return [np.array(value) for value in export.load_model(path).get_weights()]


def shared(array: np.ndarray, values: int) -> np.ndarray:
    """float32, what is not zero put on `values` centroids of k-means, linear at first.

    Args:
        array: weights.
        values: how many there shall be at most.
    """
    rest = np.sort(array[array != 0].astype(np.float64))
    if len(rest) <= values:
        return array.astype(np.float32)
    centroids = np.linspace(rest[0], rest[-1], values)
    sums = np.concatenate([[0], rest.cumsum()])
    for _ in range(ROUNDS):
        inner = np.searchsorted(rest, (centroids[1:] + centroids[:-1]) / 2)
        ends = np.concatenate([[0], inner, [len(rest)]])
        counts = np.diff(ends)
        means = np.diff(sums[ends]) / counts.clip(1)
        centroids = np.where(counts > 0, means, centroids)
    centroids = np.unique(centroids.astype(np.float32))
    edges = (centroids[1:].astype(np.float64) + centroids[:-1]) / 2
    return np.where(array != 0, centroids[np.searchsorted(edges, array)], np.float32(0))


def _pruned(array, density):
    return np.where(np.abs(array) > np.quantile(np.abs(array), 1 - density), array, 0)


def _squeezenet():
    """Iandola et al., SqueezeNet, https://arxiv.org/abs/1602.07360, table 1."""
    shapes, channels = [(7, 7, 3, 96)], 96
    for squeeze in (16, 16, 32, 32, 48, 48, 64, 64):
        expand = 4 * squeeze
        shapes += [(1, 1, channels, squeeze), (1, 1, squeeze, expand)]
        shapes += [(3, 3, squeeze, expand)]
        channels = 2 * expand
    return [*shapes, (1, 1, channels, 1000)]
