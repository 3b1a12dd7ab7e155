"""The package litert-quantizer as an engine, and what is said where it is missing."""

import importlib.util

import keras
import numpy as np
import pytest
from keras import layers

from compression import export, measure
from compression.export import litert_quantizer
from compression.quantization import quantize_aware

pytestmark = pytest.mark.usefixtures("eagerly")
THERE = importlib.util.find_spec("litert_quantizer") is not None
there = pytest.mark.skipif(not THERE, reason=litert_quantizer.MISSING)
X = np.random.default_rng(0).normal(size=(48, 8, 8, 3)).astype("float32")


@pytest.fixture(scope="module")
def net():
    keras.utils.set_random_seed(0)
    x = image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(16, 3, padding="same", use_bias=False, name="conv")(x)
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="bn")(x))
    x = layers.Conv2D(32, 3, activation="relu", name="wide")(x)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    return keras.Model(image, layers.Dense(5, name="logits")(x), name="net")


def written(net, path, **options):
    return export.litert(net, path, engine="litert-quantizer", **options)


@there
@pytest.mark.parametrize("float_ends", [False, True])
def test_an_int8_file_is_as_good_as_the_converters(net, tmp_path, float_ends):
    options = {"precision": "int8", "calibration": [X], "float_ends": float_ends}
    ours = written(net, tmp_path / "a.tflite", **options)
    theirs = export.litert(net, tmp_path / "b.tflite", **options)
    wanted = net.predict(X, verbose=0)
    errors = [np.abs(export.load(path)(X) - wanted).mean() for path in (ours, theirs)]
    size = np.abs(wanted).mean()
    assert 0 < errors[0] < 0.05 * size and 0 < errors[1] < 0.05 * size
    runner = export.load(ours)
    dtype = "float32" if float_ends else "int8"
    assert (runner.takes.dtype, runner.gives.dtype) == (dtype, dtype)
    assert runner.output == "logits"
    assert (
        ours.stat().st_size
        < 0.5
        * written(net, tmp_path / "any.tflite", precision="dynamic").stat().st_size
        + 20_000
    )
    assert measure.size(ours) < 1.5 * measure.size(theirs)


@there
def test_a_dynamic_file_of_any_batch(net, tmp_path):
    path = written(net, tmp_path / "a.tflite", precision="dynamic", batch=None)
    whole = export.litert(net, tmp_path / "b.tflite", batch=None)
    wanted = net.predict(X, verbose=0)
    assert np.abs(export.load(path)(X) - wanted).max() < 0.05 * np.abs(wanted).max()
    kernels = 3 * 3 * 3 * 16 + 3 * 3 * 16 * 32
    assert whole.stat().st_size - path.stat().st_size > 2 * kernels


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "float16"}, "writes int8 and dynamic, not float16: leave"),
        (
            {"precision": "int8", "engine": "luck"},
            "no engine called 'luck'; choose from",
        ),
    ],
)
def test_other_choices_are_refused(net, tmp_path, options, message):
    options = {"engine": "litert-quantizer"} | options
    with pytest.raises(ValueError, match=message):
        export.litert(net, tmp_path / "a.tflite", **options)
    assert not list(tmp_path.iterdir())


def test_fake_quantization_is_the_converters(net, tmp_path):
    quantized = quantize_aware(net, calibration=[X])
    with pytest.raises(ValueError, match="knows nothing of the ranges of fake quantiz"):
        written(quantized, tmp_path / "a.tflite", precision="int8")


def test_a_missing_package_is_named_with_the_way_to_it(net, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match=r"pip install 'limbeck\[quantizer\]'"):
        written(net, tmp_path / "a.tflite", precision="dynamic")
    assert not list(tmp_path.iterdir())


@there
def test_int8_needs_images(net, tmp_path):
    with pytest.raises(ValueError, match="precision 'int8' needs calibration"):
        written(net, tmp_path / "a.tflite", precision="int8")
