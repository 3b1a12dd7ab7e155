"""A net in tf_keras computes the same, and its weights come back."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import architectures
from architectures.layers import BatchNormalization, ZeroPaddedShortcut
from compression.tfmot import to_tf_keras, weights_back
from tests.compression.small_nets import alexnet, shaken

tf_keras = pytest.importorskip("tf_keras", reason="tf_keras is not installed")
pytestmark = pytest.mark.usefixtures("eagerly")


def block():
    """As a ResNet's: batch norm of ours, a shortcut without weights."""
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(5, 3, 2, padding="same", use_bias=False, name="conv")(image)
    x = BatchNormalization(name="norm")(x)
    x = layers.Add(name="add")([x, ZeroPaddedShortcut(5, stride=2)(image)])
    x = layers.LeakyReLU(negative_slope=0.1)(x)
    return keras.Model(image, layers.GlobalAveragePooling2D()(x))


def shared_and_nested():
    """A model called twice in a model, a shared layer, dicts at both ends."""
    inside = keras.Sequential(
        [keras.Input((6,)), layers.Dense(4, "tanh", name="dense")], name="inside"
    )
    left, right = keras.Input((6,), name="left"), keras.Input((6,), name="right")
    shared = layers.Dense(6, name="dense", kernel_regularizer="l2")
    a, b = inside(shared(left)), inside(shared(right))
    both = layers.Concatenate()([layers.Multiply()([a, b]), a])
    return keras.Model({"left": left, "right": right}, {"both": both, "one": b})


def operations():
    image = keras.Input((4, 4, 3))
    x = layers.DepthwiseConv2D(3, depth_multiplier=2)(image)
    x = ops.relu(x + x) * 2.0
    x = layers.SeparableConv2D(3, 2)(ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))))
    return keras.Model(image, ops.mean(x, axis=(1, 2)))


def partial_lenet():
    return architectures.build("lenet5", connections="partial")


def augmenting():
    image = keras.Input((6, 6, 3))
    x = layers.RandomRotation(0.1)(layers.RandomFlip("horizontal")(image))
    return keras.Model(image, layers.Conv2D(3, 3, activation="silu")(x))


NETS = [alexnet, block, shared_and_nested, operations, partial_lenet, augmenting]


def random_inputs(model):
    generator = np.random.default_rng(1)
    return keras.tree.map_structure(
        lambda x: generator.normal(size=(3, *x.shape[1:])).astype("f4"), model.input
    )


@pytest.mark.parametrize("build", NETS)
def test_the_twin_computes_the_same_and_weights_come_back(build):
    model = shaken(build())
    before = model.get_weights()
    twin = to_tf_keras(model)
    inputs = random_inputs(model)
    got, expected = (net(inputs, training=False) for net in (twin, model))
    keras.tree.assert_same_structure(got, expected)
    for a, b in zip(keras.tree.flatten(got), keras.tree.flatten(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-6 * np.abs(b).max())
    twin.set_weights([w + 1 for w in twin.get_weights()])
    again = weights_back(twin, model)
    floats = [keras.backend.is_float_dtype(v.dtype) for v in model.weights]
    for old, kept, new, moved in zip(
        before, model.get_weights(), again.get_weights(), floats, strict=True
    ):
        np.testing.assert_array_equal(old, kept)
        np.testing.assert_array_equal(new, old + 1 if moved else old)


def test_layers_keep_their_names():
    twin = to_tf_keras(shared_and_nested())
    names = [layer.name for layer in twin.layers]
    assert len(names) == len(set(names))
    assert {"dense", "inside_dense"} <= set(names)


def test_frozen_layers_and_constraints_go_along():
    model = partial_lenet()
    model.get_layer("c1").trainable = False
    twin = to_tf_keras(model)
    assert not twin.get_layer("c1").trainable
    c3 = twin.get_layer("c3")
    held = np.asarray(c3.kernel_constraint(np.ones(c3.kernel.shape, "f4")))
    assert (held == 0).sum() == 25 * (6 * 16 - 60)  # table I of the paper: 60 pairs


class Own(layers.Layer):
    def call(self, inputs):
        return inputs


class Doubling(layers.Dense):
    def call(self, inputs):
        return 2 * super().call(inputs)

    def tf_keras_twin(self):
        return tf_keras.layers.Dense(self.units, name=self.name)


def on_four(layer):
    return keras.Sequential([keras.Input((4,)), layer])


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: on_four(Own(name="own")), r"'own' \(Own\) has no twin in tf_keras"),
        (lambda: on_four(Doubling(2, name="d")), "off by .* behind layer 'd'"),
        (lambda: Subclassed(name="s"), "'s' .* subclassed or unbuilt"),
        (lambda: tf_keras.Sequential(name="old"), "'old' is a model of tf_keras"),
        (lambda: on_four(layers.Dense(2, name="größe")), "called 'größe': rename it"),
        (lambda: 3, "must be a keras.Model, got int"),
    ],
)
def test_what_has_no_twin_is_refused(model, message):
    with pytest.raises(ValueError, match=message):
        to_tf_keras(model())
