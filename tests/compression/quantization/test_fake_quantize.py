"""The arithmetic of fake quantization: codes by hand, laws, gradients."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings, strategies
from hypothesis.extra.numpy import arrays
from keras import ops

from compression.quantization.fake_quantize import (
    affine,
    code_limits,
    fake_quantize,
    fake_quantize_steps,
    fake_quantize_weights,
    first_step,
    learned_steps,
    weight_codes,
)

pytestmark = pytest.mark.usefixtures("eagerly")
REALS = strategies.floats(-100, 100, width=32)


def of(x):
    return np.asarray(x, "float32")


def gradients(function, *values):
    """Of a sum, by backend."""
    values = [ops.convert_to_tensor(of(value)) for value in values]
    if keras.backend.backend() == "jax":
        import jax

        return jax.grad(lambda *v: ops.sum(function(*v)), range(len(values)))(*values)
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(values)
        total = ops.sum(function(*values))
    return [of(each) for each in tape.gradient(total, values)]


@pytest.mark.parametrize(
    ("bits", "narrow", "limits"),
    [
        (8, False, (-128, 127)),
        (8, True, (-127, 127)),
        (4, False, (-8, 7)),
        (4, True, (-7, 7)),
    ],
)
def test_code_limits(bits, narrow, limits):
    assert code_limits(bits, narrow=narrow) == limits


@pytest.mark.parametrize("bits", [0, 2, 7, 16])
def test_other_bits_are_refused(bits):
    for function in (
        lambda: code_limits(bits),
        lambda: fake_quantize(of([1]), 0.0, 1.0, bits=bits),
        lambda: fake_quantize_weights(of([[1]]), bits=bits),
    ):
        with pytest.raises(ValueError, match=f"bits must be 8 or 4, got {bits}"):
            function()


@pytest.mark.parametrize(
    ("low", "high", "bits", "scale", "zero_point"),
    [
        (0.0, 255.0, 8, 1.0, -128),
        (-128.0, 127.0, 8, 1.0, 0),
        (-127.6, 127.4, 8, 1.0, 0),  # -128 + 127.6 = -0.4, to the nearest
        (-127.5, 127.5, 8, 1.0, 0),  # -0.5: halves go up
        (-1.0, 0.5, 4, 0.1, 2),  # -8 + 10
        (2.0, 7.5, 4, 0.5, -8),  # widened to 0
        (-7.5, -1.0, 4, 0.5, 7),  # likewise
        (0.0, 0.0, 8, 1e-6 / 255, -128),  # never narrower than 1e-6
    ],
)
def test_scale_and_zero_point_by_hand(low, high, bits, scale, zero_point):
    found = affine(low, high, bits=bits)
    assert float(found[0]) == pytest.approx(scale, rel=1e-6)
    assert float(found[1]) == zero_point


@pytest.mark.backends
@pytest.mark.parametrize(
    ("low", "high", "bits", "given", "expected"),
    [
        # scale 1: halves go up, below zero too; beyond the range it is cut
        (
            -8.0,
            7.0,
            4,
            [0.5, 1.5, -0.5, -1.5, 7.4, 9.0, -8.4, -99.0],
            [1, 2, 0, -1, 7, 7, -8, -8],
        ),
        # scale 0.1, lowest real -0.96 is shifted to -1.0, and 0.54 to 0.5
        (-0.96, 0.54, 4, [0.54, -0.96, -2.0, 0.04, 0.06], [0.5, -1.0, -1.0, 0, 0.1]),
        (0.0, 25.5, 8, [-1.0, 0.04, 0.06, 12.34, 30.0], [0, 0, 0.1, 12.3, 25.5]),
    ],
)
def test_activations_by_hand(low, high, bits, given, expected):
    found = fake_quantize(of(given), low, high, bits=bits)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.backends
def test_weights_by_hand():
    # Channels reach 1.27 and 7; of the third no weight is there
    kernel = of([[1.27, -7.0, 0.0], [-0.014, 3.4, 0.0], [0.016, -0.4, 0.0]])
    codes, scales = weight_codes(kernel, channels=1)
    np.testing.assert_allclose(scales, [0.01, 7 / 127, 1.0], rtol=1e-6)
    np.testing.assert_array_equal(codes, [[127, -127, 0], [-1, 62, 0], [2, -7, 0]])
    codes, scales = weight_codes(kernel, bits=4)
    assert float(scales) == 1.0
    np.testing.assert_array_equal(codes, [[1, -7, 0], [0, 3, 0], [0, 0, 0]])
    for options in ({"channels": 1}, {"bits": 4}):
        codes, scales = weight_codes(kernel, **options)
        fake = fake_quantize_weights(kernel, **options)
        np.testing.assert_allclose(fake, codes * scales, rtol=1e-5)


def test_a_depthwise_kernel_has_a_range_for_each_channel_and_multiplier():
    kernel = np.zeros((1, 2, 2, 2), "float32")
    kernel[0, 0] = [[1.27, 12.7], [127.0, 0.0127]]
    kernel[0, 1] = kernel[0, 0] * 0.504
    fake = fake_quantize_weights(kernel, channels=2)
    np.testing.assert_allclose(fake[0, 1], kernel[0, 0] * 64 / 127, rtol=1e-5)


@given(
    arrays("float32", 5, elements=REALS), REALS, REALS, strategies.sampled_from([8, 4])
)
@settings(max_examples=40)
def test_what_lies_in_the_range_moves_by_half_a_step(x, low, high, bits):
    low, high = min(low, high, 0.0), max(low, high, 0.0)
    scale, zero_point = (float(each) for each in affine(low, high, bits=bits))
    least, most = code_limits(bits)
    ends = (least - zero_point) * scale, (most - zero_point) * scale
    fake = of(fake_quantize(x, low, high, bits=bits))
    inside = np.clip(x, *ends)
    assert (np.abs(fake - inside) < scale * 0.5001 + 1e-6).all()
    codes = fake / scale + zero_point
    np.testing.assert_allclose(codes, np.rint(codes), atol=1e-3)
    np.testing.assert_allclose(
        fake_quantize(fake, low, high, bits=bits), fake, atol=1e-5 * scale
    )
    if high - low > 1e-6:
        assert float(fake_quantize(of([0.0]), low, high, bits=bits)[0]) == 0


@given(arrays("float32", (4, 3), elements=REALS), strategies.sampled_from([8, 4]))
@settings(max_examples=40)
def test_weights_keep_zeros_signs_and_their_largest(kernel, bits):
    kernel = np.where(np.abs(kernel) < 1e-20, 0, kernel)
    fake = of(fake_quantize_weights(kernel, bits=bits, channels=1))
    scales = of(weight_codes(kernel, bits=bits, channels=1)[1])
    assert (fake[kernel == 0] == 0).all()
    assert (fake * kernel >= 0).all()
    assert (np.abs(fake - kernel) < scales * 0.501 + 1e-7).all()
    largest = np.abs(kernel).max(0)
    np.testing.assert_allclose(np.abs(fake).max(0), largest, rtol=1e-6)


def test_gradients_pass_straight_through():
    """1 in the range for the input, and for an end 1 for each value beyond it."""
    x = [-9.0, -7.9, 0.3, 6.9, 7.6, 100.0]
    to_x, to_low, to_high = gradients(
        lambda x, low, high: fake_quantize(x, low, high, bits=4), x, -8.0, 7.0
    )
    np.testing.assert_array_equal(to_x, [0, 1, 1, 1, 0, 0])
    assert (float(to_low), float(to_high)) == (1, 2)
    [to_kernel] = gradients(
        lambda k: fake_quantize_weights(k, channels=1), [[1.0, -2.0], [0.3, 5.0]]
    )
    np.testing.assert_array_equal(to_kernel, np.ones((2, 2)))


@pytest.mark.backends
def test_learned_steps_are_the_papers_equations():
    """Equations 1 to 3, written out in numpy; halves go up as in our kernels."""
    x = of([-5.0, -2.2, -0.3, 0.0, 0.7, 1.3, 3.4, 9.0])
    step, least, most, features = 0.5, -4, 3, 2
    ratio = x / step
    inside = (ratio > least) & (ratio < most)
    rounded = np.floor(np.clip(ratio, least, most) + 0.5)
    to_step = np.where(inside, rounded - ratio, np.where(ratio <= least, least, most))

    def function(x, step):
        return learned_steps(x, step, least=least, most=most, features=features)

    np.testing.assert_allclose(function(x, of(step)), rounded * step, rtol=1e-6)
    got_x, got_step = gradients(function, x, step)
    np.testing.assert_array_equal(got_x, inside)
    expected = to_step.sum() / np.sqrt(features * most)
    assert float(got_step) == pytest.approx(expected, rel=1e-5)
    assert first_step(0.75, 9) == pytest.approx(0.5)  # 2 * 0.75 / 3


@pytest.mark.parametrize(("channels", "shape"), [(0, ()), (1, (3,)), (2, (6,))])
def test_learned_steps_of_a_kernel_are_the_same_in_inference(channels, shape):
    rng = np.random.default_rng(1)
    kernel = rng.normal(size=(3, 3, 2, 3)).astype("float32")
    steps = rng.uniform(0.01, 0.3, shape).astype("float32")
    options = {"bits": 4, "channels": channels}
    training = fake_quantize_steps(kernel, steps, training=True, **options)
    inference = fake_quantize_steps(kernel, steps, training=False, **options)
    np.testing.assert_allclose(training, inference, rtol=1e-5, atol=1e-6)
    assert np.abs(np.asarray(training) - kernel).max() > 0.1


def test_a_step_that_overshot_zero_comes_back():
    function = lambda x, s: learned_steps(x, s, least=-8, most=7, features=1)  # noqa: E731
    to_x, to_step = gradients(function, [1.0, -1.0, 2.0], -0.1)
    assert np.isfinite(to_x).all()
    assert float(to_step) == pytest.approx((7 - 8 + 7) / 7**0.5)
