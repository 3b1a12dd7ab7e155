"""ReviewKD: the context loss by hand, the fusions against plain loops."""

import numpy as np
import pytest
from keras import ops

from compression.distillation import KnowledgeReview
from compression.distillation.losses.features.review import context_loss
from tests.compression.distillation.losses.features.feature_losses import (
    build,
    copied,
    gradients,
    maps,
    value,
)
from tests.compression.distillation.losses.features.plain_layers import (
    batch_norm,
    convolution,
    pooled,
)

TEACHER, STUDENT = [(6, 6, 4), (3, 3, 5), (7,)], [(8, 8, 2), (3, 3, 3), (4,)]
NAMES = ["stage1", "stage2", "embedding"]


def numpy_context_loss(teacher, student):
    """Section 3.3: the same at 4, 2 and 1, each counting half of the one before."""
    teacher, student = np.asarray(teacher, "float64"), np.asarray(student, "float64")
    total = ((teacher - student) ** 2).mean((1, 2, 3))
    factors = [1.0]
    for size in (4, 2, 1):
        if size >= min(teacher.shape[1:3]):
            continue
        factors.append(factors[-1] / 2)
        t, s = (pooled(f, (size, size), np.mean) for f in (teacher, student))
        total = total + factors[-1] * ((t - s) ** 2).mean((1, 2, 3))
    return total / sum(factors)


def nearest(x, size):
    rows, columns = (
        ((np.arange(n) + 0.5) * have / n).astype(int)
        for n, have in zip(size, x.shape[1:3], strict=True)
    )
    return x[:, rows][:, :, columns]


def numpy_review(loss, teacher, student, training):
    total, deeper = 0.0, None
    as_map = lambda f: f if f.ndim == 4 else f[:, None, None]  # noqa: E731
    for i in (2, 1, 0):
        fusion, wanted = loss.fusions[i], as_map(teacher[i])
        own = convolution(as_map(student[i]), fusion.reduce)
        own = batch_norm(own, fusion.norms[0], training)
        if deeper is not None:
            deeper = nearest(deeper, own.shape[1:3])
            both = np.concatenate([own, deeper], -1)
            share = 1 / (1 + np.exp(-convolution(both, fusion.attend)))
            own = own * share[..., :1] + deeper * share[..., 1:]
        deeper = own
        out = convolution(nearest(own, wanted.shape[1:3]), fusion.expand)
        out = batch_norm(out, fusion.norms[1], training)
        total = total + numpy_context_loss(wanted, out)
    return total


def test_context_loss_by_hand():
    # Difference 2 in one place of four: mean square 1; averaged to one place, 1/4.
    teacher = np.zeros((1, 2, 2, 1), "float32")
    student = np.array([2.0, 0, 0, 0], "float32").reshape(1, 2, 2, 1)
    got = ops.convert_to_numpy(context_loss(teacher, student))
    np.testing.assert_allclose(got, [(1 + 0.5 * 0.25) / 1.5], rtol=1e-6)


@pytest.mark.parametrize("size", [(9, 9), (7, 5), (4, 4), (1, 1)])
def test_context_loss_agrees_with_numpy(size):
    teacher, student = maps((*size, 3), (*size, 3))
    got = ops.convert_to_numpy(context_loss(teacher, student))
    np.testing.assert_allclose(got, numpy_context_loss(teacher, student), rtol=1e-5)


def test_context_loss_of_float16():
    teacher = np.full((1, 5, 5, 2), 200, "float16")
    got = ops.convert_to_numpy(context_loss(teacher, -teacher))
    np.testing.assert_allclose(got, [160_000.0], rtol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 0.01])
@pytest.mark.parametrize("training", [False, True])
def test_agrees_with_numpy(training, scale):
    """Also where the student's features are so small that the norm's epsilon counts."""
    teacher, student = maps(*TEACHER), maps(*STUDENT, scale=scale, seed=1)
    loss = build(KnowledgeReview(NAMES, NAMES), teacher, student)
    expected = numpy_review(loss, teacher, student, training)
    got = value(loss, teacher, student, training=training)
    np.testing.assert_allclose(got, expected, rtol=2e-5)


def test_the_teachers_shallow_stage_reaches_the_students_deep_one():
    """The point of the review: teacher's stage 1 moves the student's embedding."""
    teacher, student = maps(*TEACHER), maps(*STUDENT, seed=1)
    loss = build(KnowledgeReview(NAMES, NAMES), teacher, student)
    other = [teacher[0] + 1, *teacher[1:]]
    one, two = (gradients(loss, t, student).student for t in (teacher, other))
    assert not np.allclose(one[2], two[2])


def test_the_teachers_deep_stage_does_not_reach_the_students_shallow_one():
    teacher, student = maps(*TEACHER), maps(*STUDENT, seed=1)
    loss = build(KnowledgeReview(NAMES, NAMES), teacher, student)
    other = [*teacher[:2], teacher[2] + 1]
    one, two = (gradients(loss, t, student).student for t in (teacher, other))
    np.testing.assert_allclose(one[0], two[0], atol=1e-6)
    np.testing.assert_allclose(one[1], two[1], atol=1e-6)
    assert not np.allclose(one[2], two[2])


def test_channels():
    teacher, student = maps(*TEACHER), maps(*STUDENT)
    loss = build(KnowledgeReview(NAMES, NAMES), teacher, student)
    assert [fusion.reduce.filters for fusion in loss.fusions] == [4, 4, 4]
    few = build(KnowledgeReview(NAMES, NAMES, channels=2), teacher, student)
    assert [fusion.reduce.filters for fusion in few.fusions] == [2, 2, 2]
    assert copied(few).channels == 2


def test_sequences_are_no_maps():
    with pytest.raises(
        ValueError, match=r"vectors, got a feature of shape \(3, 5, 4\)"
    ):
        KnowledgeReview("a", "b")(ops.ones((3, 5, 4)), ops.ones((3, 5, 4)))


def test_bad_settings():
    with pytest.raises(ValueError, match="channels must be positive, got 0"):
        KnowledgeReview(NAMES, NAMES, channels=0)
    with pytest.raises(ValueError, match=r"from shallow to deep.*heights \[1, 3, 8\]"):
        build(KnowledgeReview(NAMES, NAMES), maps(*TEACHER), maps(*STUDENT[::-1]))
