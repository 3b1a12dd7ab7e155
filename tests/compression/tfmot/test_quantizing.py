"""Quantization-aware training by tfmot, through the bridge and into a file."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from compression import export
from compression.export import load
from compression.quantization.codes import symmetric_codes
from compression.tfmot import int8_file, quantize
from compression.tfmot.training import Training
from tests.compression.small_nets import shaken, small_net
from tests.compression.tfmot.test_pruning import batches, kernels

STILL = {"optimizer": "sgd", "learning_rate": 0.0}  # ranges are found, weights stay


def int8_weights(path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    details = interpreter.get_tensor_details()
    assert not [x["name"] for x in details if x["dtype"] == np.float32]
    found = [x for x in details if x["dtype"] == np.int8 and x["name"]]
    return [interpreter.get_tensor(x["index"]) for x in found]


def test_codes_of_weights_are_ours(tmp_path):
    model, path = small_net(), tmp_path / "net.tflite"
    same = quantize(model, batches(5), path, **STILL)
    for a, b in zip(model.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)
    conv, dense = kernels(model)
    expected = [
        np.moveaxis(symmetric_codes(conv, (-1,))[0], -1, 0),  # each channel its scale
        np.round(dense * 127 / np.abs(dense).max()).astype("int8").T,  # one scale
    ]
    tensors = int8_weights(path)
    for codes in expected:
        found = [x for x in tensors if x.shape == codes.shape]
        assert any(np.array_equal(x, codes) for x in found)
    images = np.concatenate([x for x, _ in batches(5)])
    agreed = load(path)(images).argmax(-1) == np.asarray(model(images)).argmax(-1)
    assert agreed.mean() > 0.8


@pytest.mark.slow
def test_a_net_with_silu_is_written(tmp_path):
    """TensorFlow gives it a gradient of its own, which no file can hold."""
    stack = (layers.Conv2D(3, 3), layers.Activation("silu"), layers.Flatten())
    model = on_images(*stack, layers.Dense(4))
    path = tmp_path / "net.tflite"
    quantize(model, batches(5), path, **STILL)
    images = np.concatenate([x for x, _ in batches(5)])
    wanted = np.asarray(model(images))
    assert np.abs(load(path)(images) - wanted).max() < 0.2 * np.abs(wanted).max()


def with_relu_layers():
    """tfmot trains what is before a ReLU in floats, if that is a layer of its own."""
    image = keras.Input((6, 6, 2))
    x = layers.ReLU()(layers.Conv2D(3, 3)(image))
    x = layers.Activation("relu")(layers.Dense(8)(layers.Flatten()(x)))
    return shaken(keras.Model(image, layers.Dense(4)(x)))


@pytest.mark.parametrize("net", [small_net, with_relu_layers])
@pytest.mark.slow
def test_zeros_and_clusters_stay(net, tmp_path):
    model, path = net(), tmp_path / "net.tflite"
    for layer in model.layers:
        if layer.weights:
            kernel = np.round(np.array(layer.kernel) * 20) / 20
            layer.kernel.assign(kernel)
    new = quantize(
        model,
        batches(1),
        path,
        preserve_zeros=True,
        preserve_clusters=True,
        optimizer="sgd",
        learning_rate=0.01,
    )
    for before, after in zip(kernels(model), kernels(new), strict=True):
        assert (after[before == 0] == 0).all()
        assert not np.array_equal(before, after)
        channels = range(before.shape[-1]) if before.ndim == 4 else [slice(None)]
        for one in channels:  # tfmot takes each channel of a convolution by itself
            assert len(np.unique(after[..., one])) <= len(np.unique(before[..., one]))
        shape = np.moveaxis(before, -1, 0).shape
        found = [codes for codes in int8_weights(path) if codes.shape == shape]
        zero = np.moveaxis(before == 0, -1, 0)
        assert any((codes[zero] == 0).all() for codes in found)


def on_images(*stack):
    return shaken(keras.Sequential([keras.Input((6, 6, 2)), *stack]))


def with_an_operation():
    image = keras.Input((6, 6, 2))
    return keras.Model(image, layers.Dense(4)(layers.Flatten()(ops.sin(image))))


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (with_an_operation, {}, "quantizes no Lambda, and 'sin"),
        (
            lambda: on_images(
                layers.Conv2D(3, 3), layers.LayerNormalization(name="strange")
            ),
            {},
            "Layer strange.*quantization.quantize_aware",
        ),
        (
            lambda: on_images(
                layers.SeparableConv2D(3, 3, name="split"), layers.Flatten()
            ),
            {},
            "'split' .* its weights cannot come back",
        ),
        (small_net, {"exempt": "none"}, "is called 'none'; there are"),
        (small_net, {"path": "net.bin"}, "path must end in .tflite"),
    ],
)
def test_bad_input(model, options, message):
    with pytest.raises(ValueError, match=message):
        quantize(model(), batches(1), **options)


def test_files_that_answer_otherwise_are_named_of_one_probability_too(
    tmp_path, monkeypatch
):
    image = keras.Input((6,))
    last = keras.layers.Dense(1, "sigmoid")
    model = keras.Model(image, last(image))
    kernel = np.array(last.kernel)
    last.kernel.assign(-kernel)
    other = export.litert(model, tmp_path / "other.tflite").read_bytes()
    last.kernel.assign(kernel)
    monkeypatch.setattr(int8_file, "_save", lambda *_: None)
    monkeypatch.setattr(int8_file, "_converted", lambda *_: other)
    images = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")
    data = Training().data((images, np.zeros(64, int)))
    path = tmp_path / "net.tflite"
    with pytest.warns(UserWarning, match="for 0% of 40 images"):
        int8_file.write_fake_quantized(model, model, path, data)
