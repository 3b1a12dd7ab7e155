"""The soft-target loss: a hand-worked value, the laws of the paper, float16 safety."""

import math

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from compression.distillation import SoftTargets, soft_target_loss

LOGITS = arrays(
    np.float32, (3, 5), elements=st.floats(-20, 20, width=32, allow_subnormal=False)
)


def loss(teacher, student, temperature):
    value = soft_target_loss(
        np.asarray(teacher), np.asarray(student), temperature=temperature
    )
    return keras.ops.convert_to_numpy(value)


def numpy_loss(teacher, student, temperature):
    """Written from section 2 of the paper, in float64."""

    def log_softmax(logits):
        z = logits.astype("float64") / temperature
        z = z - z.max(-1, keepdims=True)
        return z - np.log(np.exp(z).sum(-1, keepdims=True))

    p, q = log_softmax(teacher), log_softmax(student)
    return temperature**2 * (np.exp(p) * (p - q)).sum(-1)


def test_by_hand():
    teacher = np.array([[0.0, math.log(3.0)]], "float32")  # softmax (1/4, 3/4)
    student = np.array([[0.0, 0.0]], "float32")  # softmax (1/2, 1/2)
    expected = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
    np.testing.assert_allclose(loss(teacher, student, 1.0), [expected], rtol=1e-6)


def test_by_hand_at_temperature_two():
    # log 9 at T = 2 softens to log 3: the same softmaxes, times T^2 = 4.
    teacher = np.array([[0.0, math.log(9.0)]], "float32")
    student = np.array([[0.0, 0.0]], "float32")
    expected = 4 * (0.25 * math.log(0.5) + 0.75 * math.log(1.5))
    np.testing.assert_allclose(loss(teacher, student, 2.0), [expected], rtol=1e-6)


def test_high_temperature_matches_logits():
    """Hinton et al., equation 4: T^2 KL -> sum (z - v)^2 / 2N for centred logits."""
    rng = np.random.default_rng(0)
    v, z = rng.normal(size=(2, 4, 10)).astype("float32")
    v, z = (x - x.mean(-1, keepdims=True) for x in (v, z))
    limit = ((z - v) ** 2).sum(-1) / 20
    # The next term falls as 1/T; float32 loses digits as T^2 grows.
    errors = [np.abs(loss(v, z, t) - limit).max() for t in (4.0, 16.0, 64.0)]
    assert errors[0] > 3 * errors[1] > 3 * errors[2]
    np.testing.assert_allclose(loss(v, z, 64.0), limit, rtol=0.02)


@given(teacher=LOGITS, student=LOGITS, temperature=st.sampled_from([1.0, 4.0, 20.0]))
def test_agrees_with_numpy(teacher, student, temperature):
    np.testing.assert_allclose(
        loss(teacher, student, temperature),
        numpy_loss(teacher, student, temperature),
        rtol=1e-4,
        atol=1e-4,
    )


@given(logits=LOGITS, shift=st.floats(-5, 5))
def test_zero_where_softmaxes_agree(logits, shift):
    value = loss(logits, logits + np.float32(shift), 3.0)
    np.testing.assert_allclose(value, 0, atol=1e-4)


def test_finite_for_saturated_float16_logits():
    teacher = np.array([[60.0, -60.0, 0.0]], "float16")
    value = loss(teacher, -teacher, 1.0)
    assert value.dtype == np.float32
    np.testing.assert_allclose(value, [120.0], rtol=1e-5)


def test_a_loss_that_is_called_gives_a_value_for_each_example():
    teacher = np.array([[0.0, 2.0], [1.0, 0.0]], "float32")
    student = np.zeros((2, 2), "float32")
    expected = numpy_loss(teacher, student, 4.0)
    for sides in ((teacher, student), ([teacher], [student])):
        each = keras.ops.convert_to_numpy(SoftTargets(4.0, weight=7.0)(*sides))
        np.testing.assert_allclose(each, expected, rtol=1e-5)


def test_bad_settings():
    with pytest.raises(ValueError, match="temperature must be positive, got 0"):
        SoftTargets(temperature=0)
    with pytest.raises(ValueError, match="temperature must be positive, got -1"):
        soft_target_loss(np.zeros((1, 2)), np.zeros((1, 2)), temperature=-1)
    with pytest.raises(ValueError, match="weight must not be negative, got -0.5"):
        SoftTargets(weight=-0.5)
