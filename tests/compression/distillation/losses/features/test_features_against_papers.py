"""Feature losses without weights: agreement with the papers, gradients, corners."""

from functools import cache

import keras
import numpy as np
import pytest

from compression.distillation import (
    AttentionTransfer,
    CorrelationCongruence,
    NeuronSelectivity,
    ProbabilisticTransfer,
    RelationalAngle,
    RelationalDistance,
    SimilarityPreserving,
)
from tests.compression.distillation.losses.features import papers
from tests.compression.distillation.losses.gradients import slope, with_gradient

PAPERS = {
    AttentionTransfer: papers.attention,
    CorrelationCongruence: papers.congruence,
    NeuronSelectivity: papers.selectivity,
    ProbabilisticTransfer: papers.probabilistic,
    RelationalAngle: papers.relational_angle,
    RelationalDistance: papers.relational_distance,
    SimilarityPreserving: papers.similarity,
}
OF_MAPS = (AttentionTransfer, NeuronSelectivity)
OF_BATCHES = tuple(kind for kind in PAPERS if kind not in OF_MAPS)
EVERY = pytest.mark.parametrize("kind", PAPERS)


@cache
def measure(kind):
    return with_gradient(lambda t, s: kind("deep", "shallow")([t], [s]))


def values(kind, teacher, student):
    return measure(kind)(teacher, student)[0]


def gradient(kind, teacher, student):
    return measure(kind)(teacher, student)[1]


def two_maps(seed, batch=5):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(batch, 3, 2, 4)), generator.normal(
        size=(batch, 3, 2, 3)
    )


@pytest.mark.backends
@EVERY
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_the_paper(kind, seed):
    teacher, student = two_maps(seed)
    found = values(kind, teacher, student)
    assert found.dtype == np.float32
    assert found.shape == (5,)
    np.testing.assert_allclose(
        found, PAPERS[kind](teacher, student), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("kind", OF_BATCHES)
def test_a_vector_may_learn_from_a_map_of_any_size(kind):
    generator = np.random.default_rng(0)
    teacher, student = (
        generator.normal(size=(5, 2, 2, 3)),
        generator.normal(size=(5, 7)),
    )
    np.testing.assert_allclose(
        values(kind, teacher, student),
        PAPERS[kind](teacher, student),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize("kind", OF_BATCHES)
def test_two_equal_examples(kind):
    """An angle between sides of no length is no angle; all else is as ever."""
    teacher, student = two_maps(0)
    student[1] = student[0]
    for pair in ((teacher, student), (student, teacher)):
        np.testing.assert_allclose(
            values(kind, *pair), PAPERS[kind](*pair), rtol=1e-5, atol=1e-6
        )


@EVERY
def test_float16_features_lose_nothing(kind):
    generator = np.random.default_rng(0)
    teacher, student = (
        generator.uniform(-200, 200, (5, 3, 2, channels)).astype("float16")
        for channels in (4, 3)
    )
    expected = PAPERS[kind](teacher.astype("float64"), student.astype("float64"))
    np.testing.assert_allclose(
        values(kind, teacher, student), expected, rtol=1e-5, atol=1e-6
    )


@pytest.mark.backends
@EVERY
def test_gradient_is_the_papers_slope(kind):
    teacher, student = two_maps(1)
    direction = np.random.default_rng(9).normal(size=student.shape)
    found = gradient(kind, teacher, student)
    expected = slope(lambda s: PAPERS[kind](teacher, s), student, direction)
    np.testing.assert_allclose((found * direction).sum(), expected, rtol=2e-4)


@EVERY
def test_a_student_like_its_teacher_learns_nothing(kind):
    teacher = two_maps(2)[0].astype("float32")
    np.testing.assert_allclose(values(kind, teacher, teacher), 0, atol=1e-6)
    found = gradient(kind, teacher, teacher)
    np.testing.assert_allclose(found, 0, atol=1e-6)


@pytest.mark.parametrize("kind", OF_BATCHES)
def test_a_batch_of_one_has_no_relations(kind):
    teacher, student = two_maps(3, batch=1)
    each, found = measure(kind)(teacher, student)
    np.testing.assert_allclose(each, [0], atol=1e-12)
    np.testing.assert_allclose(found, 0, atol=1e-6)


@pytest.mark.parametrize("kind", OF_MAPS)
def test_examples_of_map_losses_do_not_depend_on_each_other(kind):
    teacher, student = two_maps(3)
    pairs = zip(teacher, student, strict=True)
    alone = [values(kind, t[None], s[None])[0] for t, s in pairs]
    np.testing.assert_allclose(values(kind, teacher, student), alone, rtol=1e-5)


@EVERY
@pytest.mark.parametrize("corner", ["zeros", "equal", "opposite", "dead", "apart"])
def test_finite_in_the_corners(kind, corner):
    teacher = two_maps(4)[0]
    student = {
        "zeros": np.zeros_like(teacher),
        "equal": np.tile(teacher[:1], (5, 1, 1, 1)),
        "opposite": teacher[:1] * np.array([1, -1, 1, -1, -1]).reshape(5, 1, 1, 1),
        "dead": teacher * (np.arange(4) > 1),
        # No two have a channel in common: cosines of 0, as of sparse embeddings.
        "apart": teacher * (np.arange(5).reshape(5, 1, 1, 1) == np.arange(4)),
    }[corner]
    for one, other in ((teacher, student), (student, teacher)):
        each, found = measure(kind)(one, other)
        assert np.isfinite(each).all()
        assert np.isfinite(found).all()
        assert np.abs(found).max() < 100


@EVERY
def test_scales_do_not_count(kind):
    """Of both nets alike, and of each alone."""
    teacher, student = two_maps(5)
    expected = values(kind, teacher, student)
    for scales in ((1e-8, 1.0), (1.0, 1e-8), (1e8, 1e-3)):
        found = values(kind, scales[0] * teacher, scales[1] * student)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@EVERY
def test_pairs_of_layers_add_up(kind):
    first, second = two_maps(6), two_maps(7)
    loss = kind(["one", "two"], ["eins", "zwei"])
    found = loss([first[0], second[0]], [first[1], second[1]])
    expected = values(kind, *first) + values(kind, *second)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@EVERY
def test_works_in_a_graph_for_any_batch(kind):
    inputs = [keras.Input((3, 2, channels)) for channels in (4, 3)]
    loss = kind("deep", "shallow")([inputs[0]], [inputs[1]])
    assert loss.shape == (None,)
    assert loss.dtype == "float32"
    compare = keras.Model(inputs, loss)
    teacher, student = two_maps(8)
    np.testing.assert_allclose(
        compare.predict([teacher, student], verbose=0),
        PAPERS[kind](teacher, student),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize("kind", OF_MAPS)
@pytest.mark.parametrize("larger", ["teacher", "student"])
def test_the_larger_map_is_averaged_to_the_smaller(kind, larger):
    small, large = np.random.default_rng(0).normal(size=(2, 5, 4, 6, 3))
    small = small[:, :2, :3]
    averaged = large.reshape(5, 2, 2, 3, 2, 3).mean((2, 4))
    if larger == "teacher":
        found, expected = values(kind, large, small), PAPERS[kind](averaged, small)
    else:
        found, expected = values(kind, small, large), PAPERS[kind](small, averaged)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", OF_MAPS)
def test_vectors_have_no_positions(kind):
    with pytest.raises(ValueError, match=r"needs feature maps, got .*\(5, 7\)"):
        values(kind, np.zeros((5, 7)), np.zeros((5, 7)))


def test_bad_settings_of_single_losses():
    with pytest.raises(ValueError, match="no kernel called 'cubic'; choose from"):
        NeuronSelectivity("a", "b", kernel="cubic")
    with pytest.raises(ValueError, match="sharpness must be positive, got 0"):
        CorrelationCongruence("a", "b", sharpness=0)
    for order in (0, 1.5):
        with pytest.raises(ValueError, match=f"whole number from 1 on, got {order}"):
            CorrelationCongruence("a", "b", order=order)
