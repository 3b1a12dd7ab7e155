"""Equalisation: the same net, ranges of channels that match."""

import keras
import numpy as np
import pytest
from keras import layers

from compression.graph import read
from compression.quantization import calibrate, equalise
from compression.quantization.channel_numbers import (
    inputs_of_weights,
    largest,
    outputs_of_weights,
)
from tests.compression.small_nets import on_images, shaken

pytestmark = pytest.mark.usefixtures("eagerly")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(16, 8, 8, 4)).astype("float32")


def ranges(first, second):
    """Of the channels between two layers: where they are written, where read."""
    channels = first.output.shape[-1]
    return (
        largest(np.abs(first.kernel), outputs_of_weights(first), channels),
        largest(np.abs(second.kernel), inputs_of_weights(second, channels), channels),
    )


def test_two_layers_by_hand():
    """s = sqrt(r1 / r2): sqrt(8 / 2) = 2 and sqrt(1 / 9) = 1/3."""
    model = keras.Sequential(
        [
            keras.Input((2,)),
            layers.Dense(2, activation="relu", name="first"),
            layers.Dense(2, name="second"),
        ]
    )
    model.set_weights(
        [
            np.array([[8.0, 1], [-4, 0.5]]),
            np.array([1.0, 3]),
            np.array([[2.0, -1], [3, 9]]),
            np.array([5.0, 6]),
        ]
    )
    found = equalise(model).get_weights()
    np.testing.assert_allclose(found[0], [[4, 3], [-2, 1.5]], rtol=1e-6)
    np.testing.assert_allclose(found[1], [0.5, 9], rtol=1e-6)
    np.testing.assert_allclose(found[2], [[4, -2], [1, 3]], rtol=1e-6)
    np.testing.assert_allclose(found[3], [5, 6], rtol=1e-6)


def chain():
    return on_images(
        layers.Conv2D(6, 3, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(2),
        layers.Conv2D(6, 2, groups=3, activation="leaky_relu"),
        layers.ZeroPadding2D(1),
        layers.Conv2DTranspose(4, 2, activation="relu"),
        layers.AveragePooling2D(2),
        layers.Flatten(),
        layers.Dense(5, activation="relu"),
        layers.Dropout(0.5),
        layers.Dense(3),
    )


def depthwise():
    return on_images(
        layers.Conv2D(6, 1),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.DepthwiseConv2D(3, depth_multiplier=2),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Conv2D(4, 1),
        layers.SeparableConv2D(4, 3, activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3),
    )


def residual():
    x = image = keras.Input((8, 8, 4))
    x = y = layers.Conv2D(6, 3, padding="same", activation="relu", name="door")(x)
    x = layers.Conv2D(5, 3, padding="same", use_bias=False, name="one")(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.Conv2D(6, 3, padding="same", name="two")(x)
    x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.Conv2D(4, 3, activation="tanh", name="three")(x)
    x = layers.Conv2D(4, 3, activation="relu6", name="four")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(3, name="last")(x), name="residual")


def pairs_of(model):
    """Layers with kernels that come one after the other, in a chain."""
    kernels = [x for x in model.layers if hasattr(x, "kernel")]
    return list(zip(kernels, kernels[1:], strict=False))


@pytest.mark.parametrize(("build", "pairs"), [(chain, 4), (depthwise, 5)])
def test_channels_of_a_chain_match_and_outputs_stay(build, pairs):
    keras.utils.set_random_seed(0)
    model = shaken(build())
    before = model.get_weights()
    found = equalise(model)
    wanted = np.asarray(model(X))
    error = np.abs(np.asarray(found(X)) - wanted).max()
    assert error < 1e-5 * np.abs(wanted).max()
    assert len(pairs_of(found)) == pairs
    for first, second in pairs_of(found):
        one, other = ranges(first, second)
        np.testing.assert_allclose(one, other, rtol=1e-2)
    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)


def test_only_pairs_that_nothing_else_reads_are_touched():
    model = shaken(residual())
    found = equalise(model)
    wanted = np.asarray(model(X))
    np.testing.assert_allclose(found(X), wanted, atol=1e-5 * np.abs(wanted).max())
    one, other = ranges(found.get_layer("one"), found.get_layer("two"))
    np.testing.assert_allclose(one, other, rtol=1e-3)
    for name in ("door", "three", "four", "last"):  # Add, tanh and ReLU6 stop it
        np.testing.assert_array_equal(
            found.get_layer(name).kernel, model.get_layer(name).kernel
        )
    kept = equalise(model, skip=("two",))
    np.testing.assert_array_equal(
        kept.get_layer("two").kernel, model.get_layer("two").kernel
    )


def test_relu6_may_become_relu():
    model = shaken(
        on_images(
            layers.Conv2D(4, 3),
            layers.ReLU(6, name="cut"),
            layers.Conv2D(4, 3, activation="relu6", name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, name="last"),
        )
    )
    assert equalise(model).get_layer("cut").max_value == 6
    found = equalise(model, relu6="relu")
    assert found.get_layer("cut").max_value is None
    assert found.get_layer("conv").activation is keras.activations.relu
    one, other = ranges(found.get_layer("conv"), found.get_layer("last"))
    np.testing.assert_allclose(one, other, rtol=1e-3)
    np.testing.assert_allclose(found(X), model(X), atol=1e-5)  # nothing is above 6
    with pytest.raises(ValueError, match='relu6 must be "keep" or "relu", got True'):
        equalise(model, relu6=True)


def test_a_channel_that_is_all_bias_does_not_blow_up():
    """By weights alone it would be multiplied by 1e6; dead ones stay as they are."""
    model = shaken(on_images(layers.Conv2D(3, 1, activation="relu"), layers.Dense(2)))
    first, second = model.layers
    first.kernel.assign(np.asarray(first.kernel) * [1, 1e-12, 0])
    first.bias.assign([0.1, 1, 0])
    second.kernel.assign(np.asarray(second.kernel))
    found = equalise(model)
    assert np.abs(found.layers[1].bias).max() < 100
    np.testing.assert_allclose(found(X), model(X), atol=1e-5)


def test_a_net_with_channels_of_all_sizes_is_quantized_better():
    model = shaken(
        on_images(
            layers.Conv2D(8, 3, activation="relu", name="one"),
            layers.Conv2D(4, 3, name="two"),
        )
    )
    one, two = (model.get_layer(name) for name in ("one", "two"))
    sizes = 10.0 ** RNG.uniform(-2, 2, 8)
    one.set_weights([np.asarray(each) * sizes for each in one.get_weights()])
    kernel = np.asarray(two.kernel)
    two.kernel.assign(kernel / sizes[inputs_of_weights(two, 8)])
    wanted = np.asarray(model(X))

    def error(net):
        return np.abs(np.asarray(calibrate(net, [X])(X)) - wanted).mean()

    assert error(equalise(model)) < error(model) / 3


def test_a_quantized_net_is_refused():
    model = calibrate(shaken(residual()), [X])
    assert any(call.operation.name == "door" for call in read(model).calls)
    with pytest.raises(ValueError, match="'residual' is quantized already"):
        equalise(model)
