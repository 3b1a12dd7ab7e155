"""Losses between logits: values worked by hand, and laws that the papers state."""

import math

import numpy as np
import pytest
from keras.optimizers.schedules import PolynomialDecay

from compression.distillation import DecoupledSoftTargets, soft_target_loss
from compression.distillation.losses.batch import Batch
from compression.distillation.losses.logits.class_relations import (
    class_relation_loss,
    inter_class_loss,
    intra_class_loss,
)
from compression.distillation.losses.logits.decoupled import (
    non_target_loss,
    target_loss,
)
from compression.distillation.losses.logits.regression import logit_regression_loss
from compression.distillation.losses.logits.standardized import (
    standardized,
    standardized_soft_target_loss,
)

LOG2, LOG3 = math.log(2), math.log(3)


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(scale=2.0, size=shape)


def test_regression_by_hand():
    found = logit_regression_loss([[1.0, 2.0], [0.0, 0.0]], [[0.0, 4.0], [3.0, 0.0]])
    np.testing.assert_allclose(found, [(1 + 4) / 2, 9 / 2])


def test_regression_outgrows_float16():
    logits = np.array([[200.0, -200.0]], "float16")  # 400^2 > 65504
    np.testing.assert_allclose(logit_regression_loss(logits, -logits), [160_000.0])


def test_standardised_logits_by_hand():
    # Mean 2, variance (1 + 1 + 4) / 3 = 2.
    np.testing.assert_allclose(
        standardized(np.array([[1.0, 1.0, 4.0]])),
        [[-1 / math.sqrt(2), -1 / math.sqrt(2), math.sqrt(2)]],
        rtol=1e-6,
    )


def test_standardised_soft_targets_by_hand():
    # Two classes standardise to -1 and 1: at T = 2 / log 3, odds of 3 to 1.
    temperature = 2 / LOG3
    found = standardized_soft_target_loss(
        np.array([[5.0, 9.0], [5.0, 9.0]]),
        np.array([[0.0, 0.1], [0.1, 0.0]]),
        temperature=temperature,
    )
    # KL of (1/4, 3/4) and (3/4, 1/4) is log(3) / 2.
    np.testing.assert_allclose(found, [0, temperature**2 * LOG3 / 2], atol=1e-5)


@pytest.mark.parametrize("factor", [1e-3, 7.0])
def test_standardised_logits_have_no_scale(factor):
    teacher, student = random(2, 6, 5)
    before, after = (
        standardized_soft_target_loss(teacher, s, temperature=2.0)
        for s in (student, factor * (student + 3))
    )
    np.testing.assert_allclose(before, after, rtol=1e-4, atol=1e-5)
    same = standardized_soft_target_loss(teacher, factor * teacher, temperature=2.0)
    np.testing.assert_allclose(same, 0, atol=1e-6)


def test_decoupled_by_hand():
    teacher = np.log([[0.5, 0.125, 0.375]])
    student = np.log([[0.25, 0.375, 0.375]])
    # Label 0: (1/2, 1/2) against (1/4, 3/4); the rest (1/4, 3/4) against (1/2, 1/2).
    target = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    rest = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
    labels = np.array([0])
    np.testing.assert_allclose(
        target_loss(teacher, student, labels, temperature=1.0), [target], rtol=1e-5
    )
    np.testing.assert_allclose(
        non_target_loss(teacher, student, labels, temperature=1.0), [rest], rtol=1e-5
    )
    # Differences of logits doubled, at T = 2: the same softmaxes, times T^2.
    loss = DecoupledSoftTargets(2.0, target_weight=3.0, non_target_weight=0.5)
    np.testing.assert_allclose(
        loss.per_example([2 * teacher], [2 * student], Batch(labels=labels)),
        [4 * (3 * target + 0.5 * rest)],
        rtol=1e-5,
    )


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("classes", [2, 7])
def test_decoupled_parts_make_up_the_soft_targets(temperature, classes):
    """Section 3.1: KD = TCKD + (1 - p) NCKD."""
    teacher, student = random(2, 9, classes)
    labels = np.arange(9) % classes
    powers = np.exp(teacher / temperature)
    p = powers[np.arange(9), labels] / powers.sum(-1)
    parts = [
        np.asarray(part(teacher, student, labels, temperature=temperature))
        for part in (target_loss, non_target_loss)
    ]
    np.testing.assert_allclose(
        parts[0] + (1 - p) * parts[1],
        soft_target_loss(teacher, student, temperature=temperature),
        rtol=1e-5,
        atol=1e-5,
    )


def test_decoupled_parts_of_saturated_float16_logits():
    """By hand at T = 1: log p = (0, -120, -60), log q = (-120, 0, -60)."""
    teacher, label = np.array([[60.0, -60.0, 0.0]], "float16"), np.array([0])
    found = [
        part(teacher, -teacher, label, temperature=1.0)
        for part in (target_loss, non_target_loss)
    ]
    np.testing.assert_allclose(found, [[120.0], [60.0]], rtol=1e-6)


def test_non_target_loss_ignores_the_labels_logit():
    teacher, student = random(2, 4, 5)
    labels = np.array([0, 2, 3, 4])
    other = student.copy()
    other[np.arange(4), labels] += 10
    before, after = (
        non_target_loss(teacher, s, labels, temperature=2.0) for s in (student, other)
    )
    np.testing.assert_array_equal(before, after)


def test_decoupled_weights_may_rise_with_the_steps():
    teacher, student = random(2, 3, 4)
    labels = np.array([0, 1, 2])
    ramp = PolynomialDecay(0.0, 100, end_learning_rate=1.0)
    loss = DecoupledSoftTargets(4.0, target_weight=ramp, non_target_weight=0.0)
    whole = np.asarray(target_loss(teacher, student, labels, temperature=4.0))
    for step, share in ((0, 0.0), (25, 0.25), (100, 1.0), (900, 1.0)):
        batch = Batch(labels=labels, step=step)
        found = loss.per_example([teacher], [student], batch)
        np.testing.assert_allclose(found, share * whole, rtol=1e-5)


@pytest.mark.parametrize("batch", [None, Batch()])
def test_decoupled_needs_labels(batch):
    with pytest.raises(ValueError, match="decoupled_soft_targets needs the labels"):
        DecoupledSoftTargets()(np.zeros((1, 2)), np.zeros((1, 2)), batch=batch)


def test_class_relations_by_hand():
    # One-hot rows of three classes correlate by -1/2 where the classes differ.
    teacher, student = np.eye(3)[[0, 1]], np.eye(3)[[0, 2]]
    np.testing.assert_allclose(inter_class_loss(teacher, student), [0, 1.5], atol=1e-6)
    # Classes over the batch: (1, 0) as the teacher's, 0 for the two others' constants:
    # class 1 has no variation in the student (1 - 0), class 2 none in the teacher (0).
    np.testing.assert_allclose(
        intra_class_loss(teacher, student), [1 / 3, 1 / 3], rtol=1e-6
    )
    found = class_relation_loss(
        [[60.0, -60.0, 0.0]],
        [[-60.0, 60.0, 0.0]],
        temperature=1.0,
        inter_weight=2.0,
        intra_weight=100.0,  # a batch of one has none
    )
    np.testing.assert_allclose(found, [3.0], rtol=1e-6)


def test_class_relations_need_no_match():
    """A line through the teacher's probabilities is as good as they."""
    teacher = np.random.default_rng(0).uniform(size=(6, 4))
    scales, shifts = np.random.default_rng(1).uniform(0.1, 2.0, (2, 6, 1))
    found = inter_class_loss(teacher, scales * teacher + shifts)
    np.testing.assert_allclose(found, 0, atol=1e-6)
    found = intra_class_loss(teacher, (scales[:4] * teacher.T + shifts[:4]).T)
    np.testing.assert_allclose(found, 0, atol=1e-6)


def test_a_class_that_never_varies_relates_nothing():
    """Equal examples: their rounding must not be taken for a relation."""
    teacher = np.tile(np.random.default_rng(0).uniform(size=(1, 4)), (7, 1))
    student = np.random.default_rng(1).uniform(size=(7, 4))
    np.testing.assert_array_equal(intra_class_loss(teacher, student), np.zeros(7))
