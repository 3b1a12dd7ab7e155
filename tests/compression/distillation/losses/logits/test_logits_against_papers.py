"""Logit losses: agreement with the papers, gradients, corners, bad settings."""

from functools import cache

import numpy as np
import pytest

from compression.distillation import (
    ClassRelations,
    DecoupledSoftTargets,
    LogitRegression,
    StandardizedSoftTargets,
)
from compression.distillation.losses.batch import Batch
from tests.compression.distillation.losses.gradients import slope, with_gradient
from tests.compression.distillation.losses.logits import papers

LABELS = np.array([2, 0, 3, 3, 1])


def decoupled(teacher, student):
    target, non_target = papers.decoupled(teacher, student, LABELS, 3.0)
    return 0.5 * target + 2.0 * non_target


def class_relations(teacher, student):
    inter, intra = papers.class_relations(teacher, student, 3.0)
    return 0.5 * inter + 2.0 * intra


PAPERS = {
    ClassRelations(3.0, inter_weight=0.5, intra_weight=2.0): class_relations,
    DecoupledSoftTargets(3.0, target_weight=0.5, non_target_weight=2.0): decoupled,
    LogitRegression(): papers.regression,
    StandardizedSoftTargets(3.0): lambda t, s: papers.standardized(t, s, 3.0),
}
EVERY = pytest.mark.parametrize("loss", PAPERS, ids=lambda loss: loss.name)


def of_batch(loss, teacher, student):
    batch = Batch(labels=LABELS[: teacher.shape[0]])
    return loss.per_example([teacher], [student], batch)


@cache
def measure(loss):
    return with_gradient(lambda t, s: of_batch(loss, t, s))


def values(loss, teacher, student):
    return measure(loss)(teacher, student)[0]


def gradient(loss, teacher, student):
    return measure(loss)(teacher, student)[1]


def two_logits(seed, scale=3.0):
    return np.random.default_rng(seed).normal(scale=scale, size=(2, 5, 4))


@pytest.mark.backends
@EVERY
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_the_paper(loss, seed):
    teacher, student = two_logits(seed)
    found = values(loss, teacher, student)
    assert found.dtype == np.float32
    np.testing.assert_allclose(
        found, PAPERS[loss](teacher, student), rtol=1e-5, atol=1e-5
    )


@EVERY
def test_float16_logits_lose_nothing(loss):
    generator = np.random.default_rng(0)
    teacher, student = generator.uniform(-60, 60, (2, 5, 4)).astype("float16")
    expected = PAPERS[loss](teacher.astype("float64"), student.astype("float64"))
    np.testing.assert_allclose(
        values(loss, teacher, student), expected, rtol=2e-5, atol=1e-4
    )


@pytest.mark.backends
@EVERY
def test_gradient_is_the_papers_slope(loss):
    teacher, student, direction = np.random.default_rng(1).normal(size=(3, 5, 4))
    found = gradient(loss, teacher, student)
    expected = slope(lambda s: PAPERS[loss](teacher, s), student, direction)
    np.testing.assert_allclose((found * direction).sum(), expected, rtol=1e-4)


@EVERY
def test_a_student_like_its_teacher_learns_nothing(loss):
    teacher = two_logits(2)[0].astype("float32")
    np.testing.assert_allclose(values(loss, teacher, teacher), 0, atol=1e-5)
    found = gradient(loss, teacher, teacher)
    np.testing.assert_allclose(found, 0, atol=1e-6)


@EVERY
def test_every_part_of_the_gradient_is_finite_in_the_corners(loss):
    one = two_logits(3)[:, :1]
    flat = np.zeros((5, 4))
    sharp = 500 * np.eye(5, 4)
    for teacher, student in (one, (sharp, flat), (flat, sharp), (sharp, -sharp)):
        each, found = measure(loss)(teacher, student)
        assert np.isfinite(each).all()
        assert np.isfinite(found).all()


@EVERY
def test_a_shift_of_the_students_logits_counts_for_regression_only(loss):
    teacher, student = two_logits(4)
    shift = np.arange(5.0)[:, None]
    before, after = (values(loss, teacher, s) for s in (student, student + shift))
    if isinstance(loss, LogitRegression):
        assert np.abs(np.asarray(before) - np.asarray(after))[1:].min() > 0.1
    else:
        np.testing.assert_allclose(before, after, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "kind", [ClassRelations, DecoupledSoftTargets, StandardizedSoftTargets]
)
@pytest.mark.parametrize("temperature", [0, -1.5])
def test_temperature_must_be_positive(kind, temperature):
    with pytest.raises(ValueError, match=f"must be positive, got {temperature}"):
        kind(temperature)


@pytest.mark.parametrize(
    ("kind", "weight"),
    [
        (ClassRelations, "inter_weight"),
        (ClassRelations, "intra_weight"),
        (DecoupledSoftTargets, "target_weight"),
        (DecoupledSoftTargets, "non_target_weight"),
    ],
)
def test_inner_weights_are_named_when_negative(kind, weight):
    with pytest.raises(ValueError, match=f"^{weight} must not be negative, got -2"):
        kind(**{weight: -2})
