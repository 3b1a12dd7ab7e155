"""Losses between features: values worked by hand, and what must not count."""

import math
from functools import partial

import numpy as np
import pytest

from compression.distillation.losses.features.attention import attention_loss
from compression.distillation.losses.features.congruence import congruence_loss
from compression.distillation.losses.features.probabilistic import (
    probabilistic_transfer_loss,
)
from compression.distillation.losses.features.relational import (
    angle_loss,
    angles,
    distance_loss,
    distances,
    huber,
)
from compression.distillation.losses.features.selectivity import (
    KERNELS,
    selectivity_loss,
)
from compression.distillation.losses.features.similarity import similarity_loss
from tests.compression.distillation.losses.features import papers
from tests.compression.distillation.losses.gradients import with_gradient

SQRT3 = math.sqrt(3)


def rotation(size, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0]


def vectors(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def test_attention_by_hand():
    # Two positions: energies (9 + 16, 0) and (0, 4) -> (1, 0) and (0, 1).
    teacher = np.array([[[[3.0, -4.0]], [[0.0, 0.0]]]])
    student = np.array([[[[0.0]], [[2.0]]]])
    np.testing.assert_allclose(attention_loss(teacher, student), [(1 + 1) / 2])
    # Energies (4, 3) -> (0.8, 0.6) against (1, 0): (0.04 + 0.36) / 2.
    student = np.array([[[[2.0]], [[SQRT3]]]])
    np.testing.assert_allclose(attention_loss(teacher, student), [0.2], rtol=1e-6)


def test_attention_sees_neither_signs_nor_the_order_of_channels():
    teacher, student = vectors(2, 4, 3, 3, 5)
    signs = np.array([1, -1, -1, 1, 1])
    np.testing.assert_allclose(
        attention_loss(teacher, (student * signs)[..., ::-1]),
        attention_loss(teacher, student),
        rtol=1e-5,
    )


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        # One pattern each, at 60 degrees: k(t,t) + k(s,s) - 2 k(t,s).
        ("linear", 1 + 1 - 2 * 0.5),
        ("polynomial", 1 + 1 - 2 * 0.25),
        # |t - s|^2 = 1 for 2 of the 4 pairs, 0 for the others: s^2 = 1/2.
        ("gaussian", 1 + 1 - 2 * math.exp(-1)),
    ],
)
def test_selectivity_by_hand(kernel, expected):
    teacher = np.array([[2.0, 0.0]]).reshape(1, 1, 2, 1)
    student = np.array([[1.0, SQRT3]]).reshape(1, 1, 2, 1)
    found = selectivity_loss(teacher, student, kernel=kernel)
    np.testing.assert_allclose(found, [expected], rtol=1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
def test_selectivity_compares_distributions(kernel):
    """Neither the order, nor the scale, nor copies of the channels count."""
    teacher, student = vectors(2, 4, 3, 2, 5)
    found = selectivity_loss(teacher, student, kernel=kernel)
    expected = papers.selectivity(teacher, student, kernel)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    scaled = student[..., [3, 0, 4, 1, 2]] * np.array([0.1, 5, 2, 3, 1])
    again = selectivity_loss(teacher, scaled, kernel=kernel)
    np.testing.assert_allclose(again, found, rtol=1e-4, atol=1e-6)
    twice = np.concatenate([teacher, teacher], axis=-1)
    same = selectivity_loss(teacher, twice, kernel=kernel)
    np.testing.assert_allclose(same, 0, atol=1e-6)


def test_the_gaussian_kernels_width_is_a_constant_to_the_gradient():
    teacher, student = vectors(2, 3, 2, 2, 2)
    loss = partial(selectivity_loss, kernel="gaussian")
    _, found = with_gradient(loss)(teacher, student)
    assert np.isfinite(found).all()
    # Scales do not count, so no gradient points along a channel's pattern.
    np.testing.assert_allclose((found * student).sum((1, 2)), 0, atol=1e-6)


def test_similarities_by_hand():
    # Teacher orthogonal: rows (1, 0), (0, 1). Student: products 1, 1; 1, 2.
    teacher, student = np.eye(2), np.array([[1.0, 0.0], [1.0, 1.0]])
    half, fifth = math.sqrt(1 / 2), math.sqrt(1 / 5)
    expected = [
        ((1 - half) ** 2 + half**2) / 2,
        (fifth**2 + (1 - 2 * fifth) ** 2) / 2,
    ]
    np.testing.assert_allclose(similarity_loss(teacher, student), expected, rtol=1e-6)


def test_huber_by_hand():
    np.testing.assert_allclose(
        huber(np.array([0.0, -0.5, 1.0, -3.0], "float32")), [0, 0.125, 0.5, 2.5]
    )


def test_distances_by_hand():
    # 3-4-5 triangle: mean 4.
    corners = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    np.testing.assert_allclose(
        distances(corners),
        np.array([[0, 3, 4], [3, 0, 5], [4, 5, 0]]) / 4,
        rtol=1e-6,
    )
    # Against an equilateral triangle: differences of 1/4, 0, 1/4 from 1.
    equilateral = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, SQRT3 / 2]])
    leg = (1 / 4) ** 2 / 2
    expected = [(leg + 0) / 2, (leg + leg) / 2, (0 + leg) / 2]
    np.testing.assert_allclose(distance_loss(corners, equilateral), expected, rtol=1e-5)


def test_angles_by_hand():
    corners = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    found = np.asarray(angles(corners))
    np.testing.assert_allclose(
        [found[0, 1, 2], found[1, 0, 2], found[2, 0, 1]], [0, 3 / 5, 4 / 5], atol=1e-6
    )
    equilateral = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, SQRT3 / 2]])  # cosines 1/2
    expected = [0.5**2 / 2, 0.1**2 / 2, 0.3**2 / 2]
    np.testing.assert_allclose(angle_loss(corners, equilateral), expected, rtol=1e-4)


def test_near_points_keep_their_distance():
    """Scalar products of float32 would lose 1e-3 at a distance of 1000."""
    far = np.array([[1000.0], [1000.001], [1002.001]], "float32")
    near = far - far[0]
    np.testing.assert_allclose(distances(far), distances(near), rtol=1e-6)


def test_equal_students_of_different_teachers():
    """Side lengths of 0: the angle there counts as a right one, without a gradient."""
    teacher, student = vectors(4, 3), np.ones((4, 3))
    np.testing.assert_array_equal(distances(student), np.zeros((4, 4)))
    np.testing.assert_array_equal(angles(student), np.zeros((4, 4, 4)))
    for loss in (distance_loss, angle_loss):
        each, found = with_gradient(loss)(teacher, student)
        np.testing.assert_array_equal(found, np.zeros((4, 3)))
        assert (each > 0).all()


def test_probabilities_by_hand():
    # Cosines to the first: 1/2 and -1/2 -> kernels 3/4, 1/4; between them 1/2 -> 3/4.
    teacher = np.array([[1.0, 0.0], [0.5, SQRT3 / 2], [-0.5, SQRT3 / 2]])
    student = np.array([[1.0, 0.0], [-0.5, SQRT3 / 2], [-0.5, -SQRT3 / 2]])  # all alike
    ends = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    np.testing.assert_allclose(
        probabilistic_transfer_loss(teacher, student), [ends, 0, ends], atol=1e-6
    )


def test_congruence_by_hand():
    # Right angle against 60 degrees: exp(-2 s) (2 s / 2 + (2 s / 2)^2 / 2) at s = 1/2.
    teacher, student = np.eye(2), np.array([[3.0, 0.0], [0.5, SQRT3 / 2]])
    difference = math.exp(-1) * (0.5 + 0.125)
    np.testing.assert_allclose(
        congruence_loss(teacher, student, sharpness=0.5, order=2),
        [difference**2 / 2] * 2,
        rtol=1e-6,
    )


def test_congruence_approaches_the_gaussian_kernel():
    teacher, student = vectors(2, 5, 3)
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (teacher, student)]
    kernels = [np.exp(-0.4 * ((x[:, None] - x[None]) ** 2).sum(-1)) for x in unit]
    found = congruence_loss(teacher, student, sharpness=0.4, order=12)
    expected = ((kernels[0] - kernels[1]) ** 2).mean(-1)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        angle_loss,
        distance_loss,
        probabilistic_transfer_loss,
        similarity_loss,
        lambda t, s: congruence_loss(t, s, sharpness=0.4, order=2),
    ],
)
def test_rotations_do_not_count_and_examples_carry_their_rows(loss):
    teacher, student = vectors(2, 6, 4)
    found = np.asarray(loss(teacher, student))
    turned = loss(teacher @ rotation(4), student @ rotation(4, seed=1))
    np.testing.assert_allclose(turned, found, rtol=1e-4, atol=1e-6)
    order = [3, 1, 5, 0, 2, 4]
    np.testing.assert_allclose(
        loss(teacher[order], student[order]), found[order], rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("loss", [angle_loss, distance_loss])
def test_shifts_do_not_count_in_differences(loss):
    teacher, student = vectors(2, 6, 4)
    np.testing.assert_allclose(
        loss(teacher + 3, student - 2), loss(teacher, student), rtol=1e-4, atol=1e-6
    )
