"""Bias correction: the exact search against a slow one, and the net that comes out."""

import keras
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from compression import measure
from compression.distillation import best_bias_shift, shift_bias


def right(logits, labels, classes, shift):
    """How many images are right, by shifting and looking."""
    shifted = np.array(logits, np.float64)
    shifted[:, list(classes)] += shift
    return int((shifted.argmax(axis=1) == labels).sum())


@st.composite
def problems(draw):
    """Logits in quarters: ties among logits and among turning points are common."""
    images, count = draw(st.integers(1, 12)), draw(st.integers(2, 5))
    quarters = st.lists(st.integers(-12, 12), min_size=count, max_size=count)
    rows = draw(st.lists(quarters, min_size=images, max_size=images))
    label = st.integers(0, count - 1)
    labels = draw(st.lists(label, min_size=images, max_size=images))
    classes = draw(st.sets(label, min_size=1, max_size=count - 1))
    return np.array(rows) / 4, np.array(labels), sorted(classes)


@given(problems())
@example((np.array([[1.0, 1.0]]), np.array([0]), [1]))
def test_no_shift_is_better(problem):
    logits, labels, classes = problem
    best = right(logits, labels, classes, best_bias_shift(*problem))
    # Turning points are multiples of 1/4: every interval has a multiple of 1/8 inside.
    everywhere = (shift / 8 for shift in range(-80, 81))
    assert best == max(right(logits, labels, classes, shift) for shift in everywhere)


@given(problems())
def test_the_shift_is_in_the_middle_of_what_is_best(problem):
    logits, labels, classes = problem
    shift = best_bias_shift(*problem)
    best = right(logits, labels, classes, shift)
    inside = np.where(np.isin(np.arange(logits.shape[1]), classes), logits, -np.inf)
    outside = np.where(np.isfinite(inside), -np.inf, logits)
    turns = outside.max(axis=1) - inside.max(axis=1)
    ever = (inside.argmax(axis=1) == labels) | (outside.argmax(axis=1) == labels)
    turns = turns[ever]
    if not len(turns):
        assert shift == 0
        return
    low = max(turns[turns < shift], default=turns.min() - 2)
    high = min(turns[turns > shift], default=turns.max() + 2)
    assert shift == (low + high) / 2
    # A middle that is nearer to zero is worse.
    ends = np.unique([turns.min() - 2, *turns, turns.max() + 2])
    for middle in (ends[:-1] + ends[1:]) / 2:
        if abs(middle) < abs(shift):
            assert right(logits, labels, classes, middle) < best


@given(problems(), st.integers(-20, 20))
def test_shifted_logits_need_so_much_less(problem, quarters):
    """What the answer does: the accuracy that it reaches is the same from anywhere."""
    logits, labels, classes = problem
    moved = logits.copy()
    moved[:, classes] += quarters / 4
    best = right(logits, labels, classes, best_bias_shift(*problem))
    there = best_bias_shift(moved, labels, classes)
    assert right(moved, labels, classes, there) == best


def test_by_hand():
    # The first image is right above 2, the second below 5; the third never.
    logits = np.array([[0.0, 2.0, -9.0], [-3.0, 2.0, -9.0], [0.0, 1.0, -9.0]])
    labels = np.array([0, 1, 2])
    assert best_bias_shift(logits, labels, [0]) == 3.5
    # Of (-inf, 2) and (5, inf), equally good, the middle that is nearer to zero.
    assert best_bias_shift(logits, labels[[1, 0, 2]], [0]) == 1.0
    assert best_bias_shift(logits[2:], labels[2:], [0]) == 0.0
    assert best_bias_shift(logits[:1], labels[:1], [0]) == 3.0  # without an end
    # Of (-3, -1) and (1, 3), equally good and equally near to zero, the higher.
    logits = np.array([[3.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-3.0, 0.0]])
    assert best_bias_shift(logits, np.array([0, 1, 0, 1]), [0]) == 2.0


@pytest.mark.parametrize("classes", [(), (0, 1, 2), (3,), (-1,)])
def test_classes_are_checked(classes):
    with pytest.raises(ValueError, match="classes must be some of 0 to 2, not all"):
        best_bias_shift(np.zeros((4, 3)), np.zeros(4, int), classes)
    with pytest.raises(ValueError, match="classes must be some of 0 to 2, not all"):
        shift_bias(net(), classes, 1.0)


def test_shapes_are_checked():
    with pytest.raises(ValueError, match=r"got \(4, 3\) and \(5,\)"):
        best_bias_shift(np.zeros((4, 3)), np.zeros(5, int), [0])


def net(**options):
    image = keras.Input((2, 2))
    x = keras.layers.Flatten()(image)
    x = keras.layers.Dense(3, name="logits", bias_initializer="ones", **options)(x)
    return keras.Model(image, x, name="small")


@pytest.mark.parametrize("nested", [False, True])
def test_the_bias_moves_and_nothing_else(nested):
    inner = net()
    model = inner
    if nested:
        image = keras.Input((2, 2))
        model = keras.Model(image, inner(image))
    images = np.random.default_rng(0).normal(size=(5, 2, 2)).astype("float32")
    before = measure.logits(model, [images])
    shift_bias(model, (0, 2), -7.5)
    after = measure.logits(model, [images])
    np.testing.assert_allclose(after - before, [[-7.5, 0, -7.5]] * 5, atol=1e-5)
    np.testing.assert_array_equal(inner.get_layer("logits").bias, [-6.5, 1.0, -6.5])


def test_the_chosen_shift_is_what_the_net_then_scores():
    rng = np.random.default_rng(3)
    model = net()
    images = rng.normal(size=(50, 2, 2)).astype("float32")
    labels = rng.integers(0, 3, 50)
    logits = measure.logits(model, [images])
    shift = best_bias_shift(logits, labels, [1])
    shift_bias(model, [1], shift)
    scored = measure.accuracy(measure.logits(model, [images]), labels)
    assert scored == right(logits, labels, [1], shift) / 50
    assert scored >= measure.accuracy(logits, labels)


def test_other_outputs_are_refused():
    message = "must end in a linear dense layer with a bias, not in "
    with pytest.raises(ValueError, match=f"'small' {message}Dense 'logits'"):
        shift_bias(net(use_bias=False), [0], 1.0)
    with pytest.raises(ValueError, match=f"'small' {message}Dense 'logits'"):
        shift_bias(net(activation="softmax"), [0], 1.0)
    image = keras.Input((4, 4, 3))
    pooled = keras.Model(image, keras.layers.GlobalAveragePooling2D(name="pool")(image))
    with pytest.raises(ValueError, match=f"{message}GlobalAveragePooling2D 'pool'"):
        shift_bias(pooled, [0], 1.0)
    with pytest.raises(ValueError, match="built functional or sequential model"):
        shift_bias(keras.Sequential([keras.layers.Dense(3)]), [0], 1.0)


def test_one_logit_is_shifted_as_two_are():
    """z for two classes means (0, z): a shift of class 0 is the opposite one."""
    rng = np.random.default_rng(5)
    z, labels = rng.normal(size=(30, 1)), rng.integers(0, 2, 30)
    two = np.concatenate([np.zeros_like(z), z], axis=1)
    for classes in ([0], [1]):
        assert best_bias_shift(z, labels, classes) == best_bias_shift(
            two, labels, classes
        )
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    shift_bias(model, [1], 0.75)
    shift_bias(model, [0], 0.25)
    np.testing.assert_allclose(model.layers[-1].bias, [0.5])
