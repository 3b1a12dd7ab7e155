"""AB: the hinge by hand, its laws, and the loss against plain NumPy."""

import numpy as np
import pytest
from keras import ops

from compression.distillation import ActivationBoundaries
from compression.distillation.losses.features.boundaries import boundary_loss
from tests.compression.distillation.losses.features.feature_losses import (
    build,
    copied,
    gradients,
    maps,
    value,
)
from tests.compression.distillation.losses.features.plain_layers import regressed


def of(teacher, student, margin=1.0):
    pair = (np.asarray(teacher), np.asarray(student))
    return ops.convert_to_numpy(boundary_loss(*pair, margin=margin))


def test_by_hand():
    # On but only 0.5: 0.5^2. Off wanted, 0.5: 1.5^2. On by enough: 0. Zero is off: 1.
    got = of([[2.0, -1.0, 0.1, 0.0]], [[0.5, 0.5, 3.0, 0.0]])
    np.testing.assert_allclose(got, [(0.25 + 2.25 + 0 + 1) / 4])


def test_margin():
    np.testing.assert_allclose(of([[1.0]], [[0.5]], margin=2.0), [2.25])


@pytest.mark.parametrize("training", [False, True])
def test_agrees_with_numpy(training):
    teacher, student = maps((3, 3, 4), (2, 2, 3)), maps((3, 3, 2), (2, 2, 3), seed=1)
    loss = ActivationBoundaries(["a", "b"], ["a", "b"], margin=0.7)
    build(loss, teacher, student)
    own = regressed(student[0], loss.regressors[0], training), student[1]
    expected = np.zeros(3)
    for t, s in zip(teacher, own, strict=True):
        on = np.maximum(0.7 - s, 0) ** 2
        off = np.maximum(0.7 + s, 0) ** 2
        expected += np.where(t > 0, on, off).reshape(3, -1).mean(-1)
    got = value(loss, teacher, student, training=training)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_only_the_teachers_signs_count():
    teacher, student = maps((4, 4, 3), (4, 4, 3))
    once = of(teacher, student)
    np.testing.assert_array_equal(of(100 * teacher, student), once)
    assert not np.allclose(of(-teacher, student), once)


def test_zero_beyond_the_margin():
    teacher = np.sign(maps((3, 3, 2))[0])
    features = [teacher], [1.5 * teacher]
    loss = build(ActivationBoundaries("a", "a"), *features)
    np.testing.assert_array_equal(value(loss, *features), 0)
    np.testing.assert_array_equal(gradients(loss, *features).student[0], 0)


def test_gradient_pushes_to_the_teachers_side():
    teacher, student = maps((3, 3, 2)), maps((3, 3, 2), scale=0.1, seed=1)
    loss = build(ActivationBoundaries("a", "a"), teacher, student)
    gradient = gradients(loss, teacher, student).student[0]
    np.testing.assert_array_equal(np.sign(-gradient), np.sign(teacher[0]))


def test_float16():
    features = np.full((1, 4), 200, "float16")
    np.testing.assert_allclose(of(features, -features), [201.0**2])


def test_settings():
    loss = ActivationBoundaries("a", "b", margin=0.5)
    assert loss.before_activation
    assert copied(loss).margin == 0.5
    with pytest.raises(ValueError, match="margin must be positive, got 0"):
        ActivationBoundaries("a", "b", margin=0)
