"""Means of clusters, by hand and to the bit. Run again on JAX by test_on_jax.py."""

import keras
import numpy as np
import pytest
from keras import ops

from compression.quantization.cluster_means import cluster_means

RNG = np.random.default_rng(0)
ON_JAX = keras.backend.backend() == "jax"


@pytest.mark.backends
def test_by_hand():
    values, numbers = np.float32([1, 2, 3, -4, 6]), np.int32([0, 3, 0, 1, 3])
    found, sizes = cluster_means(ops.array(values), ops.array(numbers), 4)
    np.testing.assert_array_equal(found, [2, -4, 0, 4])


@pytest.mark.backends
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_equal_numbers_stay_to_the_bit(dtype):
    if ON_JAX and dtype == "float64":
        pytest.skip("JAX has no float64 unless asked")
    values = RNG.normal(size=7).astype(dtype)
    numbers = RNG.integers(0, 7, 50_001).astype("int32")
    found, sizes = cluster_means(ops.array(values[numbers]), ops.array(numbers), 7)
    np.testing.assert_array_equal(found, values)


def test_means_of_many():
    values = RNG.normal(size=100_000).astype("float32") + 5
    numbers = RNG.integers(0, 3, 100_000).astype("int32")
    found, sizes = cluster_means(ops.array(values), ops.array(numbers), 3)
    expected = [values[numbers == i].astype(float).mean() for i in range(3)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
