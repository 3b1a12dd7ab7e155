"""OFD: the partial distance by hand, the margins, the loss against plain NumPy."""

import math

import numpy as np
import pytest
from keras import ops

from compression.distillation import OverhaulFeatures
from compression.distillation.losses.features.overhaul import partial_loss
from tests.compression.distillation.losses.features.feature_losses import (
    build,
    gradients,
    maps,
    value,
)
from tests.compression.distillation.losses.features.plain_layers import array, regressed


def of(teacher, student, margin):
    pair = (np.asarray(teacher), np.asarray(student))
    margin = np.asarray(margin, "float32")
    return ops.convert_to_numpy(partial_loss(*pair, margin=margin))


def test_by_hand():
    # -3 is lifted to the margin -1, the student is further: 0. Student nearer to on:
    # 0.5^2. On: 1^2 and 1.5^2. The last is off, but so is the student, and less: 0.4^2
    got = of([[-3.0, -0.5, 2.0, 0.5, -2.0]], [[-2.0, 0.0, 1.0, -1.0, -0.6]], [-1.0] * 5)
    np.testing.assert_allclose(got, [(0 + 0.25 + 1 + 2.25 + 0.16) / 5], rtol=1e-6)


def test_float16():
    features = np.full((1, 3), 200, "float16")
    np.testing.assert_allclose(of(features, -features, [-1.0] * 3), [160_000.0])


@pytest.mark.parametrize("scale", [1.0, 0.01])
@pytest.mark.parametrize("training", [False, True])
def test_agrees_with_numpy(training, scale):
    """Also where the student's features are so small that the norm's epsilon counts."""
    teacher = maps((3, 3, 4), (2, 2, 3))
    student = maps((3, 3, 2), (2, 2, 3), scale=scale, seed=1)
    loss = build(OverhaulFeatures(["a", "b"], ["a", "b"]), teacher, student)
    expected = np.zeros(3)
    for t, s, regressor in zip(teacher, student, loss.regressors, strict=True):
        own = regressed(s, regressor, training)
        t = t.astype("float64")
        if training:  # not measured before: no margin
            margin = [row[row < 0].mean() for row in t.reshape(-1, t.shape[-1]).T]
        else:
            margin = np.zeros(t.shape[-1])
        for i in np.ndindex(*t.shape):
            wanted = max(t[i], margin[i[-1]])
            if not own[i] <= wanted <= 0:
                expected[i[0]] += (wanted - own[i]) ** 2 / t[0].size
    got = value(loss, teacher, student, training=training)
    np.testing.assert_allclose(got, expected, rtol=2e-5)


def margins(loss):
    sums, counts = array(loss.negatives[0])
    return sums / counts


def test_margins_are_those_of_the_paper_for_normal_responses():
    """E[x | x < 0] = m - s phi(m / s) / Phi(-m / s), from a norm's shift and scale."""
    means, deviations = np.array([0.0, -1.0, 1.0]), np.array([1.0, 2.0, 1.5])
    rng = np.random.default_rng(0)
    student = maps((8, 8, 3), batch=8)
    loss = build(OverhaulFeatures("a", "a"), student, student)
    for _ in range(12):
        teacher = rng.normal(means, deviations, size=(64, 8, 8, 3)).astype("float32")
        value(loss, [teacher], [teacher], training=True)
    for got, m, s in zip(margins(loss), means, deviations, strict=True):
        density = math.exp(-((m / s) ** 2) / 2) / math.sqrt(2 * math.pi)
        below = (1 + math.erf(-m / s / math.sqrt(2))) / 2
        assert got == pytest.approx(m - s * density / below, rel=0.02)


def test_margins_move_by_the_memory_and_in_training_only():
    first, second = maps((2, 2, 3)), maps((2, 2, 3), seed=5)
    loss = build(OverhaulFeatures("a", "a"), first, first)
    value(loss, first, first, training=True)
    before = array(loss.negatives[0])
    value(loss, second, first)
    np.testing.assert_array_equal(array(loss.negatives[0]), before)
    value(loss, second, first, training=True)
    flat = second[0].reshape(-1, 3)
    added = np.stack([np.minimum(flat, 0).sum(0), (flat < 0).sum(0)])
    expected = 0.99 * before + added
    np.testing.assert_allclose(array(loss.negatives[0]), expected, rtol=1e-5)


def test_a_channel_that_is_never_negative_has_margin_zero():
    teacher = [np.abs(maps((2, 2, 3))[0])]
    loss = build(OverhaulFeatures("a", "a"), teacher, teacher)
    assert np.isfinite(value(loss, teacher, teacher, training=True)).all()


def test_nothing_to_learn_where_both_are_off():
    teacher, student = [-np.ones((2, 2, 2, 3), "float32")], maps((2, 2, 3), batch=2)
    loss = build(OverhaulFeatures("a", "a"), teacher, student)
    loss.regressors[0].norm.beta.assign([-50.0] * 3)
    assert loss.before_activation
    found = gradients(loss, teacher, student, training=True)
    np.testing.assert_array_equal(found.student[0], 0)
