"""KD-SVD: vectors by hand, against NumPy's SVD, and gradients that stay finite."""

import math

import numpy as np
import pytest
from keras import ops

from compression.distillation import SingularVectors
from compression.distillation.losses.features.singular_vectors import (
    aligned,
    right_vectors,
)
from tests.compression.distillation.losses.features.feature_losses import (
    build,
    copied,
    gradients,
    maps,
    value,
)
from tests.compression.distillation.losses.features.plain_layers import convolution

SHAPES = [(5, 5, 4), (4, 4, 6), (3, 3, 5)]
NAMES = ["a", "b", "c"]


def decomposed(feature, count):
    feature = ops.convert_to_tensor(feature)
    return [ops.convert_to_numpy(x) for x in right_vectors(feature, count)]


def numpy_loss(teacher, student, count):
    """Section 3 with NumPy's SVD, one image at a time."""
    total = []
    for image in range(len(teacher[0])):
        wanted, own = [], []
        for t, s in zip(teacher, student, strict=True):
            t, s = (f[image].reshape(-1, f.shape[-1]) for f in (t, s))
            _, strength, right = np.linalg.svd(np.asarray(t, "float64"))
            strength = strength[:count] / np.sqrt((strength[:count] ** 2).sum())
            _, _, candidates = np.linalg.svd(np.asarray(s, "float64"))
            wanted.append([])
            own.append([])
            for size, vector in zip(strength, right[:count], strict=True):
                vector = vector * (1 if vector.sum() >= 0 else -1)
                cosines = candidates[: count + 3] @ vector
                best = np.abs(cosines).argmax()
                wanted[-1].append(size * vector)
                own[-1].append(size * candidates[best] * np.sign(cosines[best]))
        total.append(0.0)
        for i in range(len(teacher) - 1):
            for k in range(count):
                relations = [
                    np.exp(-((v[i][k][:, None] - v[i + 1][k][None]) ** 2) / 8)
                    for v in (wanted, own)
                ]
                total[-1] += ((relations[0] - relations[1]) ** 2).sum()
    return np.array(total)


def test_vectors_by_hand():
    # Two positions, 3 (0.6, 0.8) and 1 (-0.8, 0.6): orthogonal directions.
    rows = np.array([[1.8, 2.4], [-0.8, 0.6]], "float32").reshape(1, 2, 1, 2)
    values, vectors = decomposed(rows, 2)
    np.testing.assert_allclose(values, [[3 / math.sqrt(10), 1 / math.sqrt(10)]], 1e-5)
    np.testing.assert_allclose(np.abs(vectors[0].T), [[0.6, 0.8], [0.8, 0.6]], 1e-5)


def test_alignment_by_hand():
    student = np.array([[[1.0, 0.0], [0.0, 1.0]]], "float32")
    teacher = np.array([[[0.6, -0.8], [-0.8, -0.6]]], "float32")
    got = ops.convert_to_numpy(aligned(student, teacher))
    np.testing.assert_allclose(got, [[[0.0, -1.0], [-1.0, 0.0]]])


@pytest.mark.parametrize("count", [1, 2])
def test_agrees_with_numpy(count):
    teacher, student = maps(*SHAPES), maps((6, 6, 3), *SHAPES[1:], seed=1)
    loss = build(SingularVectors(NAMES, NAMES, vectors=count), teacher, student)
    own = [convolution(student[0], loss.projectors[0]), *student[1:]]
    expected = numpy_loss(teacher, own, count)
    np.testing.assert_allclose(value(loss, teacher, student), expected, rtol=1e-4)


def test_gradient_agrees_with_differences():
    """Of NumPy's float64 loss, in random directions; gaps are wide here."""
    teacher = maps(*SHAPES[:2], batch=1)
    student = maps(*SHAPES[:2], batch=1, seed=1)
    for feature in (*teacher, *student):  # one strong direction
        feature += 2 * np.linspace(0.5, 1.5, feature.shape[-1], dtype="float32")
    loss = build(SingularVectors(["a", "b"], ["a", "b"]), teacher, student)
    found = gradients(loss, teacher, student).student
    for way in (maps(*SHAPES[:2], batch=1, seed=seed) for seed in (7, 8, 9)):
        ahead, behind = (
            numpy_loss(
                teacher, [f + h * w for f, w in zip(student, way, strict=True)], 1
            )
            for h in (1e-3, -1e-3)
        )
        slope = sum((g * w).sum() for g, w in zip(found, way, strict=True))
        np.testing.assert_allclose(slope, (ahead - behind) / 2e-3, rtol=1e-3)


@pytest.mark.parametrize("scale", [0.0, 1e-20, 1.0, 200.0])
def test_equal_singular_values_give_finite_gradients(scale):
    unit = np.eye(4, dtype="float32").reshape(1, 2, 2, 4) * np.float32(scale)
    student, teacher = [unit, unit], maps((2, 2, 4), (2, 2, 4), batch=1)
    loss = build(SingularVectors(["a", "b"], ["a", "b"], vectors=2), teacher, student)
    assert np.isfinite(value(loss, teacher, student)).all()
    assert np.isfinite(value(loss, student, teacher)).all()
    for gradient in gradients(loss, teacher, student).student:
        assert np.isfinite(gradient).all()


def test_zero_where_the_features_agree():
    teacher = maps(*SHAPES)
    loss = build(SingularVectors(NAMES, NAMES, vectors=2), teacher, teacher)
    np.testing.assert_allclose(value(loss, teacher, teacher), 0, atol=1e-9)
    for gradient in gradients(loss, teacher, teacher).student:
        np.testing.assert_allclose(gradient, 0, atol=1e-6)


def test_scale_and_positions_do_not_count():
    teacher, student = maps(*SHAPES), maps(*SHAPES, seed=1)
    loss = build(SingularVectors(NAMES, NAMES), teacher, student)
    once = value(loss, teacher, student)
    scaled = [20 * f for f in student]
    np.testing.assert_allclose(value(loss, teacher, scaled), once, rtol=1e-3)
    turned = [f[:, ::-1].transpose(0, 2, 1, 3) for f in student]
    np.testing.assert_allclose(value(loss, teacher, turned), once, rtol=1e-3)
    swapped = [f[..., ::-1] for f in student], [f[..., ::-1] for f in teacher]
    np.testing.assert_allclose(value(loss, *swapped[::-1]), once, rtol=1e-3)


def test_settings():
    assert copied(SingularVectors(NAMES, NAMES, vectors=3)).vectors == 3
    with pytest.raises(ValueError, match="name at least two"):
        SingularVectors("a", "b")
    with pytest.raises(ValueError, match="vectors must be at least 1, got 0"):
        SingularVectors(NAMES, NAMES, vectors=0)
    with pytest.raises(ValueError, match="vectors must be at most 4, the teacher's"):
        build(SingularVectors(NAMES, NAMES, vectors=5), maps(*SHAPES), maps(*SHAPES))
