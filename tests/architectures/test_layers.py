"""The layers that Keras lacks: by hand, on another backend, saved, and exported."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from architectures.blocks import ceil_max_pool, convolution
from architectures.layers import LocalResponseNormalization, ZeroPaddedShortcut

ROOT = Path(__file__).parents[2]


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


@pytest.mark.parametrize("case", CASES)
def test_response_is_the_papers_formula(case):
    x = 30 * np.random.default_rng(0).standard_normal((2, 3, 4, 7)).astype("float32")
    layer = LocalResponseNormalization(**case)
    np.testing.assert_allclose(layer(x), response(x, **case), rtol=2e-5)


def test_response_is_the_same_on_another_backend():
    """JAX takes the path written in keras.ops, TensorFlow its own kernel."""
    script = (
        "import json, numpy as np\n"
        "from architectures.layers import LocalResponseNormalization as Layer\n"
        "x = np.linspace(-40, 40, 84, dtype='float32').reshape(1, 3, 4, 7)\n"
        f"print(json.dumps([np.ravel(Layer(**c)(x)).tolist() for c in {CASES!r}]))\n"
    )
    pytest.importorskip("jax")
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    x = np.linspace(-40, 40, 84, dtype="float32").reshape(1, 3, 4, 7)
    for case, other in zip(CASES, json.loads(done.stdout), strict=True):
        mine = np.ravel(LocalResponseNormalization(**case)(x))
        np.testing.assert_allclose(other, mine, rtol=2e-5)


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


def test_response_refuses_what_is_no_map():
    with pytest.raises(ValueError, match=r"takes \(batch, height, width, channels\)"):
        LocalResponseNormalization()(np.zeros((2, 3)))


def small_net():
    x = image = keras.Input((9, 9, 4))
    x = LocalResponseNormalization(3, bias=1.5, scale=0.2, power=0.6, name="norm")(x)
    x = ZeroPaddedShortcut(7, stride=2, name="shortcut")(x)
    return keras.Model(image, x)


def test_layers_are_saved_with_their_numbers(tmp_path):
    small_net().save(tmp_path / "net.keras")
    again = keras.models.load_model(tmp_path / "net.keras")
    config = again.get_layer("norm").get_config()
    assert [config[key] for key in ("size", "bias", "scale", "power")] == [
        3,
        1.5,
        0.2,
        0.6,
    ]
    x = np.random.default_rng(0).standard_normal((2, 9, 9, 4)).astype("float32")
    np.testing.assert_array_equal(again(x), small_net()(x))


def test_response_becomes_one_litert_operator(tmp_path):
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    model = small_net()
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    content = converter.convert()  # builtins only, else it fails
    interpreter = litert.Interpreter(model_content=content)
    names = [op["op_name"] for op in interpreter._get_ops_details()]
    assert names.count("LOCAL_RESPONSE_NORMALIZATION") == 1
    interpreter.allocate_tensors()
    x = np.random.default_rng(0).standard_normal((1, 9, 9, 4)).astype("float32")
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    out = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(out, model(x), rtol=1e-5, atol=1e-6)


def test_shortcut_by_hand():
    x = np.arange(1.0, 10.0).reshape(1, 3, 3, 1)
    out = keras.ops.convert_to_numpy(ZeroPaddedShortcut(4, stride=2)(x))
    # One zero channel before, two after: one more after, since three is odd.
    np.testing.assert_array_equal(out[0, ..., 1], [[1, 3], [7, 9]])
    np.testing.assert_array_equal(out[0, ..., [0, 2, 3]], np.zeros((3, 2, 2)))
    shape = ZeroPaddedShortcut(4, stride=2).compute_output_shape((None, 3, None, 1))
    assert shape == (None, 2, None, 4)


def test_shortcut_cannot_drop_channels():
    with pytest.raises(ValueError, match="cannot drop channels: 3 go in, 2"):
        ZeroPaddedShortcut(2)(np.zeros((1, 2, 2, 3)))


def test_a_stride_pads_both_sides_alike():
    """One 3x3 window of ones at stride 2 over ones counts what it covers."""
    image = keras.Input((4, 4, 1))
    options = {"use_bias": False, "kernel_initializer": "ones"}
    x = convolution(image, 1, 3, stride=2, name="c", **options)
    out = keras.Model(image, x)(np.ones((1, 4, 4, 1)))
    # PyTorch's 3x3/2 with padding 1; TensorFlow's "same" gives [[9, 6], [6, 4]].
    np.testing.assert_array_equal(out[0, ..., 0], [[4, 6], [6, 9]])


@pytest.mark.parametrize(
    ("height", "width", "size", "expected"),
    [
        (4, 4, 3, [[11, 12], [15, 16]]),
        (5, 5, 3, [[13, 15], [23, 25]]),
        (4, 5, 3, [[13, 15], [18, 20]]),
        (5, 4, 3, [[11, 12], [19, 20]]),
        (3, 3, 2, [[5, 6], [8, 9]]),
        (3, 4, 2, [[6, 8], [10, 12]]),
        (2, 2, 3, [[4]]),
    ],
)
def test_ceil_pooling_counts_the_cut_off_window(height, width, size, expected):
    image = keras.Input((height, width, 1))
    model = keras.Model(image, ceil_max_pool(image, size, name="pool"))
    x = np.arange(1.0, height * width + 1).reshape(1, height, width, 1)
    np.testing.assert_array_equal(model(x)[0, ..., 0], expected)
