"""Response normalisation: by hand, and against the formula, on another backend too."""

import keras
import numpy as np
import pytest

from architectures.layers import LocalResponseNormalization


def response(x, size, bias, scale, power):
    """The formula of section 3.3, written plainly."""
    out = np.empty_like(x)
    for i in range(x.shape[-1]):
        near = x[..., max(0, i - size // 2) : i + size // 2 + 1]
        out[..., i] = x[..., i] / (bias + scale * (near**2).sum(-1)) ** power
    return out


def test_response_by_hand():
    x = np.array([1.0, 2.0, 3.0], "float32").reshape(1, 1, 1, 3)
    layer = LocalResponseNormalization(3, bias=1.0, scale=2.0, power=1.0)
    # Sums of squares over a channel and its neighbours: 5, 14, 13.
    np.testing.assert_allclose(np.ravel(layer(x)), [1 / 11, 2 / 29, 3 / 27], rtol=1e-6)


CASES = [
    {"size": 5, "bias": 2.0, "scale": 1e-4, "power": 0.75},  # AlexNet
    {"size": 5, "bias": 1.0, "scale": 2e-5, "power": 0.75},  # Caffe's GoogLeNet
    {"size": 3, "bias": 0.5, "scale": 0.3, "power": 0.5},
    {"size": 1, "bias": 1.0, "scale": 1.0, "power": 1.0},
    {"size": 9, "bias": 1.0, "scale": 0.1, "power": 0.0},
]


@pytest.mark.backends  # TensorFlow takes its own kernel, JAX the path in keras.ops
@pytest.mark.parametrize("case", CASES)
def test_response_is_the_papers_formula(case):
    x = 30 * np.random.default_rng(0).standard_normal((2, 3, 4, 7)).astype("float32")
    layer = LocalResponseNormalization(**case)
    np.testing.assert_allclose(layer(x), response(x, **case), rtol=2e-5)


def test_response_survives_half_precision():
    x = np.full((1, 1, 1, 5), 300, "float16")  # 300^2 is no float16
    layer = LocalResponseNormalization(dtype="float16")
    out = keras.ops.convert_to_numpy(layer(x))
    assert out.dtype == np.float16
    expected = response(x.astype("float32"), 5, 2.0, 1e-4, 0.75)
    np.testing.assert_allclose(out, expected, rtol=2e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 4}, "size must be odd"),
        ({"size": 0}, "size must be odd"),
        ({"bias": 0.0}, "bias must be positive"),
        ({"scale": -1.0}, "bias must be positive, scale and power not negative"),
        ({"power": -1.0}, "bias must be positive, scale and power not negative"),
    ],
)
def test_response_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        LocalResponseNormalization(**options)
