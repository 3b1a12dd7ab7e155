"""Bias correction: means as before the weights were rounded."""

import keras
import numpy as np
import pytest
from keras import layers

from compression.graph import rebuild
from compression.quantization import adaround, calibrate, correct_bias, fold_batch_norm
from compression.quantization.twins import twin_class, twin_of
from tests.compression.small_nets import on_images, shaken

pytestmark = pytest.mark.usefixtures("eagerly")
X = np.random.default_rng(0).normal(1.0, size=(70, 8, 8, 4)).astype("float32")


def test_one_layer_by_hand():
    """Of 4 bits with the scale 1, 0.4 is 0: on inputs of mean 2, 0.8 is lost."""
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, use_bias=False)])
    model.set_weights([np.array([[7.0], [0.4]])])
    corrected = correct_bias(model, [np.array([[5.0, 1], [6, 3]])], bits=4)
    np.testing.assert_allclose(corrected.layers[-1].kernel, [[7], [0.4]], rtol=1e-6)
    np.testing.assert_allclose(corrected.layers[-1].bias, [0.8], rtol=1e-5)
    assert not model.layers[-1].use_bias


def net():
    return shaken(
        on_images(
            layers.Conv2D(6, 3, use_bias=False, name="conv"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.DepthwiseConv2D(3, activation="relu", use_bias=False, name="deep"),
            layers.Conv2DTranspose(4, 2, name="up"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="relu", name="hidden"),
            layers.Dense(3, name="last"),
        )
    )


def rounded(model, bits):
    """The weights rounded, and nothing else."""
    return rebuild(
        model,
        lambda call: (
            twin_of(call.operation, bits=bits) if twin_class(call.operation) else None
        ),
    )


def means(model, name):
    """Of what a layer gives before it is activated; `model` is not activated then."""
    layer = model.get_layer(name)
    layer.activation = keras.activations.linear
    inner = keras.Model(model.input, layer.output)
    found = np.asarray(inner(X))
    return found.reshape(-1, found.shape[-1]).mean(axis=0)


@pytest.mark.parametrize("bits", [8, 4])
def test_each_channel_has_the_mean_that_it_had(bits):
    """With the rounded layers before it corrected, as they are in the end."""
    model = net()
    corrected = rounded(correct_bias(model, [X[:40], X[40:]], bits=bits), bits)
    folded = fold_batch_norm(model, biased=True)
    for name in ("last", "hidden", "up", "deep", "conv"):  # `means` goes on upwards
        wanted = means(folded, name)
        size = np.abs(wanted).max()
        np.testing.assert_allclose(means(corrected, name), wanted, atol=2e-6 * size)


def test_after_adaround_the_net_before_it_is_the_reference():
    model = net()
    kept = adaround(model, [X], bits=4, steps=1)
    alone = correct_bias(kept, [X], bits=4)  # rounding does nothing more to it
    np.testing.assert_allclose(
        alone.get_layer("last").bias, kept.get_layer("last").bias, atol=1e-5
    )
    corrected = correct_bias(kept, [X], bits=4, reference=model)
    wanted = means(fold_batch_norm(model), "last")
    np.testing.assert_allclose(
        means(rounded(corrected, 4), "last"), wanted, atol=2e-6 * np.abs(wanted).max()
    )


@pytest.mark.parametrize("method", [correct_bias, adaround, calibrate])
def test_channels_first_are_refused(method):
    conv = layers.Conv2D(2, 3, data_format="channels_first", name="turned")
    model = on_images(conv, layers.Flatten(), layers.Dense(3))
    with pytest.raises(ValueError, match="'turned' has its channels first: integer"):
        method(model, [X])


def test_bad_arguments_are_refused():
    model = net()
    with pytest.raises(ValueError, match="bits must be 8 or 4, got 3"):
        correct_bias(model, [X], bits=3)
    with pytest.raises(ValueError, match="calibration holds no images"):
        correct_bias(model, [])
    with pytest.raises(ValueError, match="is quantized already"):
        correct_bias(calibrate(model, [X]), [X])
    other = shaken(on_images(layers.Conv2D(6, 3, name="other")))
    with pytest.raises(ValueError, match=r"has the kernels other, not conv, deep,"):
        correct_bias(model, [X], reference=other)
