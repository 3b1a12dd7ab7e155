"""FSP: flows by hand, their laws, and the loss against plain loops."""

import numpy as np
import pytest
from keras import ops

from compression.distillation import FlowOfSolution
from compression.distillation.losses.features.flow import flow
from tests.compression.distillation.losses.features.feature_losses import (
    build,
    gradients,
    maps,
    value,
)
from tests.compression.distillation.losses.features.plain_layers import (
    convolution,
    pooled,
)

SHAPES = [(6, 6, 3), (6, 6, 4), (4, 3, 5)]
NAMES = ["a", "b", "c"]


def numpy_flow(first, second):
    """Equation 1, place by place."""
    size = tuple(np.minimum(first.shape[1:3], second.shape[1:3]))
    first, second = (pooled(f, size, np.max) for f in (first, second))
    total = np.zeros((len(first), first.shape[-1], second.shape[-1]))
    for i in range(size[0]):
        for j in range(size[1]):
            total += first[:, i, j, :, None] * second[:, i, j, None, :]
    return total / (size[0] * size[1])


def flowed(*pair):
    return ops.convert_to_numpy(flow(*(ops.convert_to_tensor(f) for f in pair)))


def test_flow_by_hand():
    # Two positions: (1, 2) times (3,), then (0, 4) times (5,).
    first = np.array([[1.0, 2.0], [0.0, 4.0]], "float32").reshape(1, 2, 1, 2)
    second = np.array([3.0, 5.0], "float32").reshape(1, 2, 1, 1)
    np.testing.assert_allclose(flowed(first, second), [[[3 / 2], [26 / 2]]])


def test_a_larger_map_is_max_pooled():
    first = np.array([1.0, 7.0, -2.0, 0.0], "float32").reshape(1, 2, 2, 1)
    second = np.array([2.0], "float32").reshape(1, 1, 1, 1)
    np.testing.assert_allclose(flowed(first, second), [[[14.0]]])


def test_flow_is_bilinear_and_the_order_of_positions_does_not_count():
    first, second = maps((3, 3, 2), (3, 3, 4))
    once = flowed(first, second)
    np.testing.assert_allclose(flowed(2 * first, -3 * second), -6 * once, rtol=1e-4)
    order = np.random.default_rng(0).permutation(9)
    moved = [f.reshape(3, 9, -1)[:, order].reshape(f.shape) for f in (first, second)]
    np.testing.assert_allclose(flowed(*moved), once, atol=1e-6)


def test_agrees_with_numpy():
    teacher, student = maps(*SHAPES), maps((8, 8, 2), *SHAPES[1:], seed=1)
    loss = build(FlowOfSolution(NAMES, NAMES), teacher, student)
    assert [len(project.weights) for project in loss.projectors] == [1, 0, 0]
    own = [convolution(student[0], loss.projectors[0]), *student[1:]]
    expected = 0.0
    for i in (0, 1):
        gap = numpy_flow(*teacher[i : i + 2]) - numpy_flow(*own[i : i + 2])
        expected = expected + (gap**2).mean((1, 2))
    np.testing.assert_allclose(value(loss, teacher, student), expected, rtol=1e-5)


def test_zero_where_the_features_agree():
    teacher = maps(*SHAPES)
    loss = build(FlowOfSolution(NAMES, NAMES), teacher, teacher)
    np.testing.assert_allclose(value(loss, teacher, teacher), 0, atol=1e-12)
    for gradient in gradients(loss, teacher, teacher).student:
        np.testing.assert_allclose(gradient, 0, atol=1e-9)


def test_float16():
    first = np.full((1, 2, 2, 1), 200, "float16")
    np.testing.assert_allclose(flowed(first, -first), [[[-40_000.0]]])


def test_bad_settings():
    with pytest.raises(ValueError, match="name at least two, got .'a'."):
        FlowOfSolution("a", "b")
    vectors = maps((4,), (4,))
    with pytest.raises(ValueError, match="needs feature maps"):
        build(FlowOfSolution(["a", "b"], ["a", "b"]), vectors, vectors)
