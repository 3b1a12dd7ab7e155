"""An integer file that leaves its float model says so, and where."""

import logging
import warnings

import keras
import numpy as np
import pytest
from keras import layers

from compression import export
from compression.export.layer_errors import OUTPUT, _error, _layer_of, worst_layers
from tests.compression.small_nets import shaken, small_net

IMAGES = np.random.default_rng(0).normal(size=(64, 6, 6, 3)).astype(np.float32)
INT8 = {"precision": "int8", "calibration": [IMAGES]}


@pytest.fixture(scope="module")
def net():
    """A channel 3,000 times wider than the rest, the same function in float."""
    image = keras.Input((6, 6, 3))
    wide = layers.Conv2D(8, 3, name="wide", activation="relu")
    after = layers.Conv2D(8, 3, name="after", activation="relu")
    x = layers.Flatten()(after(wide(image)))
    model = shaken(keras.Model(image, layers.Dense(10, name="logits")(x)))
    widen = np.ones(8, np.float32)
    widen[0] = 3000
    kernel, bias = wide.get_weights()
    wide.set_weights([kernel * widen, bias * widen])
    kernel, bias = after.get_weights()
    after.set_weights([kernel / widen[:, None], bias])
    return model


def test_the_three_worst_layers_are_named(net, tmp_path, caplog):
    caplog.set_level(logging.INFO, "compression")
    path = tmp_path / "net.tflite"
    with pytest.warns(UserWarning, match="calibration images only") as warned:
        export.litert(net, path, **INT8)
    [message] = [str(w.message) for w in warned if "answer" in str(w.message)]
    assert "The error grows most in 'wide' (by 8" in message
    [logged] = [r.getMessage() for r in caplog.records if r.name.endswith("quantized")]
    expected, got = net.predict(IMAGES, verbose=0), export.load(path)(IMAGES)
    share = (expected.argmax(-1) == got.argmax(-1)).mean()
    assert f"model's answer for {100 * share:.1f} % of 64 calibration images" in logged
    assert share < 0.95 and f"{share:.0%} of 64 calibration images only" in message
    largest = np.abs(expected - got).max()
    assert f"error of a logit is {largest:.3g}, of logits up to" in logged
    assert f"the largest error of a logit is {largest:.3g}." in message


def test_a_file_that_agrees_is_only_logged(tmp_path, caplog):
    caplog.set_level(logging.INFO, "compression")
    image = keras.Input((6, 6, 3))
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(image)))
    model.layers[-1].set_weights(
        [np.eye(108, 3, dtype=np.float32) * 8, np.zeros(3, np.float32)]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        export.litert(model, tmp_path / "net.tflite", **INT8)
    assert "model's answer for" in caplog.text


def test_the_output_of_a_sequential_is_its_last_layers():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2, name="answer")])
    assert _layer_of(f"{OUTPUT}:0", model) == "answer"


def test_the_error_of_a_channel_by_hand():
    """Channels (3, 4) -> (3, 0), lost 4 of 5; (1, 0) -> (1, 0), nothing; one of zeros
    does not count; of one that is far off all is lost, not more."""
    real = np.array([[3.0, 1, 0, 1], [4, 0, 0, 0]])
    codes = np.array([[3.0, 1, 9, 50], [0, 0, 9, 0]])
    assert _error(codes, real) == pytest.approx((4 / 5 + 0 + 1) / 3)


@pytest.mark.parametrize(
    ("precision", "batch"), [("int8", 16), ("int8", None), ("int16x8", 1)]
)
@pytest.mark.slow
def test_layers_of_other_files_are_compared_too(net, precision, batch, tmp_path):
    """More images in a call than there are, any number, and other names of tensors."""
    files = []
    for each in (precision, "float32"):
        path = tmp_path / f"{each}.tflite"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            options = INT8 | {"precision": each, "batch": batch}
            files.append(export.litert(net, path, **options))
    found = worst_layers(*files, net, IMAGES[:8], count=9)
    growth = [each.growth for each in found]
    assert growth == sorted(growth, reverse=True) and min(growth) > 0
    names = [each.layer for each in found]
    assert {"wide", "after"} <= set(names) <= {layer.name for layer in net.layers}
    if precision == "int8":
        assert names[0] == "wide" and growth[0] > 0.8
    assert worst_layers(files[1], files[1], net, IMAGES[:8]) == []


def test_pixels_beyond_the_normalised_range_are_named(tmp_path):
    images = np.random.default_rng(0).uniform(-2, 2, size=(9, 6, 6, 2))
    images[3, 0, 0] = 2.5
    message = r"whose pixels are -[12][.0-9]* to 2.5, beyond -2 to 2: give it images"
    options = {"precision": "int8", "calibration": [images]}
    with pytest.warns(UserWarning, match=message):
        export.litert(
            small_net(), tmp_path / "net.tflite", pixel_range=(-2, 2), **options
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        export.litert(
            small_net(), tmp_path / "net.tflite", pixel_range=(-2, 2.5), **options
        )
    images[3, 0, 0] = -3000.5
    with pytest.warns(UserWarning, match="-3000 to .*, beyond those of any file of 8"):
        export.litert(small_net(), tmp_path / "net.tflite", **options)


def test_an_int8_file_may_take_and_give_floats(tmp_path):
    images = np.random.default_rng(0).normal(size=(32, 6, 6, 2)).astype(np.float32)
    options = {"precision": "int8", "calibration": [images]}
    codes = export.load(export.litert(small_net(), tmp_path / "a.tflite", **options))
    reals = export.load(
        export.litert(small_net(), tmp_path / "b.tflite", float_ends=True, **options)
    )
    assert (codes.takes.dtype, codes.gives.dtype) == ("int8", "int8")
    assert codes.takes.code_range == (-128, 127) and codes.gives.scale > 0
    assert (reals.takes.dtype, reals.gives.dtype) == ("float32", "float32")
    assert reals.takes.code_range is None and reals.gives.zero_point is None
    # Halves are rounded in two ways: a code more or less.
    difference = np.abs(codes(images) - reals(images)).max()
    assert difference <= 2.01 * codes.gives.scale
    with pytest.raises(ValueError, match="float_ends is a choice of int8 files; dyn"):
        export.litert(
            small_net(), tmp_path / "c.tflite", precision="dynamic", float_ends=True
        )


def test_weights_that_are_no_numbers_overwrite_nothing(tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(b"mine")
    model = small_net()
    kernel = model.layers[1].kernel
    kernel.assign(kernel * np.nan)
    with pytest.raises(ValueError, match="conv2d.*/kernel of .* is not finite"):
        export.litert(
            model, path, precision="int8", calibration=[np.ones((4, 6, 6, 2))]
        )
    assert path.read_bytes() == b"mine" and list(tmp_path.iterdir()) == [path]
