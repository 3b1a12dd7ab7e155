"""Adaptive pooling: by hand, and against loops for sizes where Keras's own fails."""

import numpy as np
import pytest
from keras import ops

from compression.distillation.losses.pooling import average_to, max_to, windows
from tests.compression.distillation.losses.features.plain_layers import pooled


def test_windows_by_hand():
    assert windows(7, 4) == [(0, 2), (1, 4), (3, 6), (5, 7)]
    assert windows(30, 15) == [(i, i + 2) for i in range(0, 30, 2)]


def test_by_hand():
    column = np.array([1.0, 2.0, 6.0], "float32").reshape(1, 3, 1, 1)
    for pool, expected in ((average_to, [1.5, 4.0]), (max_to, [2.0, 6.0])):
        got = ops.convert_to_numpy(pool(ops.convert_to_tensor(column), (2, 1)))
        np.testing.assert_allclose(got.ravel(), expected)


@pytest.mark.parametrize(
    ("size", "wanted"), [((15, 14), (7, 7)), ((7, 7), (1, 4)), ((8, 6), (4, 6))]
)
def test_agrees_with_loops(size, wanted):
    maps = np.random.default_rng(0).normal(size=(2, *size, 3)).astype("float32")
    for pool, reduce in ((average_to, np.mean), (max_to, np.max)):
        got = ops.convert_to_numpy(pool(ops.convert_to_tensor(maps), wanted))
        np.testing.assert_allclose(got, pooled(maps, wanted, reduce), atol=1e-6)
