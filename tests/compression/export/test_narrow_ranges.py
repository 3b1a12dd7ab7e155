"""Integer files of nets with channels and layers that are next to nothing."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers

from compression import export
from compression.quantization import quantize_aware

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(size=(32, 8, 8, 3)).astype("float32")


def scaled(gammas, betas):
    """Batch norm with these factors and shifts."""
    norm = layers.BatchNormalization()
    norm.build((None, None, None, len(gammas)))
    norm.gamma.assign(gammas)
    norm.beta.assign(betas)
    return norm


def around(inside):
    """A net with `inside` between two convolutions with a bias."""
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    last = layers.Conv2D(4, 3, padding="same", activation="relu")
    x = layers.GlobalAveragePooling2D()(last(inside(x)))
    last.bias.assign([0.1, 0.3, 0.2, 0.4])
    return keras.Model(image, layers.Dense(4)(x))


def conv(x):
    return layers.Conv2D(4, 3, padding="same", use_bias=False)(x)


def decayed(x, least):
    """Two channels whose weights are gone and whose bias is not."""
    norm = scaled([1, least, 1, least], [1.0, 0.9, 1.1, 0.8])
    return layers.ReLU()(norm(conv(x)))


def alone(x):
    return layers.ReLU()(scaled([1, 1e-7, 1, 1e-9], [1.0, 0.9, 1.1, 0.8])(x))


def nothing(x):
    """All that comes out is zero: the next layer has its bias alone."""
    return layers.ReLU()(scaled([1e-3] * 4, [-0.5, -0.6, -0.7, -0.4])(conv(x)))


def next_to_nothing(x):
    return scaled([1e-7] * 4, [0.0] * 4)(conv(x))


def depthwise(x):
    first = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    return scaled([1, 1e-6, 1e-12, 1], [1.0, 0.9, 1.1, 0.8])(first)


def same_bias(x):
    """All biases are one number, and the channels' scales far apart."""
    return layers.ReLU()(scaled([1, 0.05, 10, 1], [0.5] * 4)(conv(x)))


CASES = {
    "decayed": lambda x: decayed(x, 1e-5),
    "far-decayed": lambda x: decayed(x, 1e-30),
    "alone": alone,
    "nothing": nothing,
    "next-to-nothing": next_to_nothing,
    "depthwise": depthwise,
    "same-bias": same_bias,
}


@pytest.mark.parametrize("inside", CASES.values(), ids=CASES)
def test_the_file_is_as_its_simulation(inside, tmp_path):
    model = around(inside)
    quantized = quantize_aware(model, calibration=[IMAGES])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        path = export.litert(quantized, tmp_path / "aware.tflite", precision="int8")
    assert_same(path, quantized, codes=1.5)
    assert all(getattr(each, "known", None) is None for each in quantized.layers)


def test_a_file_that_is_not_its_simulation_is_told(tmp_path, monkeypatch):
    from compression.export import serving

    monkeypatch.setattr(serving, "file_ranges", lambda model: {})
    quantized = quantize_aware(around(CASES["far-decayed"]), calibration=[IMAGES])
    with pytest.warns(UserWarning, match="is not what the model simulates: .* off by"):
        export.litert(quantized, tmp_path / "net.tflite", precision="int8")


@pytest.mark.parametrize("inside", [CASES["decayed"], nothing, same_bias])
@pytest.mark.parametrize("method", ["minmax", "mse"])
def test_after_training_too(inside, method, tmp_path):
    model = around(inside)
    path = export.litert(
        model,
        tmp_path / "after.tflite",
        precision="int8",
        calibration=[IMAGES],
        calibration_method=method,
    )
    assert_same(path, model, codes=8)


def test_a_layer_of_which_next_to_nothing_is_left(tmp_path):
    """The converter's own ranges are too narrow for the runtime: it says what helps."""
    alive = layers.Conv2D(4, 3, padding="same", activation="relu", name="alive")
    model = around(alive)
    inner = keras.Model(model.input, alive.output)
    alive.bias.assign(-inner.predict(IMAGES, verbose=0).max((0, 1, 2)) + 1e-6)
    path, options = tmp_path / "net.tflite", {"precision": "int8"}
    with pytest.raises(RuntimeError, match='calibration_method="minmax" gives it'):
        export.litert(model, path, calibration=[IMAGES], **options)
    options["calibration_method"] = "minmax"
    export.litert(model, path, calibration=[IMAGES], **options)
    assert_same(path, model, codes=8)


@pytest.mark.parametrize("method", ["lsq", "pact"])
def test_learnt_steps_too(method, tmp_path):
    model = around(CASES["far-decayed"])
    quantized = quantize_aware(model, calibration=[IMAGES], method=method)
    path = export.litert(quantized, tmp_path / "learnt.tflite", precision="int8")
    assert_same(path, quantized, codes=1.5)


def assert_same(path, model, codes):
    run = export.load(path)
    apart = np.abs(run(IMAGES) - model.predict(IMAGES, verbose=0)) / run.gives.scale
    assert apart.max() < codes
