"""Weights that make up for removed channels, and statistics, worked by hand."""

import itertools

import keras
import numpy as np
import pytest
from keras import layers

from compression import arguments, pruning
from tests.compression.small_nets import on_images, shaken


def images(number=3, size=16, shape=(8, 8, 4)):
    generator = np.random.default_rng(0)
    return [generator.normal(size=(size, *shape)).astype("float32")] * number


READERS = {
    "conv": lambda: [layers.Conv2D(3, 3, padding="same", activation="relu", name="b")],
    "strides": lambda: [layers.Conv2D(3, 3, strides=2, use_bias=False, name="b")],
    "same strides": lambda: [
        layers.Conv2D(3, (2, 3), strides=(2, 1), padding="same", name="b")
    ],
    "dilation": lambda: [layers.Conv2D(3, 2, dilation_rate=2, name="b")],
    "pixels": lambda: [layers.Dense(3, name="b")],
    "dense": lambda: [
        layers.MaxPooling2D(4), layers.Flatten(), layers.Dense(3, name="b")
    ],
}  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
def test_a_channel_that_others_make_up_for_is_not_missed(reader):
    """Channel 2 is 2 times channel 0 plus, where there is a bias, a constant."""
    model = shaken(on_images(layers.Conv2D(5, 1, name="a"), *READERS[reader]()))
    a, b = model.get_layer("a"), model.get_layer("b")
    kernel, bias = (np.array(w) for w in a.weights)
    kernel[..., 2] = 2 * kernel[..., 0]
    # At a "same" border a constant is no constant.
    shift = 0.0 if reader in ("conv", "strides", "same strides") else 0.7
    bias[2] = 2 * bias[0] + shift
    a.set_weights([kernel, bias])
    plan = pruning.ChannelPlan("n", {"a": 5}, {"a": (0, 1, 3, 4)})
    smaller = pruning.remove_channels(model, plan)
    [x, *_] = images(1)
    expected = np.array(model(x))
    assert abs(np.array(smaller(x)) - expected).max() > 0.01
    before = model.get_weights()
    pruning.reconstruct(smaller, model, plan, images(), ridge=1e-9)
    np.testing.assert_allclose(np.array(smaller(x)), expected, atol=1e-4)
    if reader in ("strides", "pixels"):
        found = np.array(smaller.get_layer("b").kernel)
        wanted = np.array(b.kernel)
        wanted[..., 0, :] += 2 * wanted[..., 2, :]
        np.testing.assert_allclose(found, np.delete(wanted, 2, axis=-2), atol=1e-3)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_strong_ridge_holds_the_weights():
    model = shaken(on_images(layers.Conv2D(5, 1, name="a"), layers.Conv2D(2, 3)))
    plan = pruning.plan_channels(model, macs=0.7)
    smaller = pruning.remove_channels(model, plan)
    kernel = np.array(smaller.layers[-1].kernel)
    pruning.reconstruct(smaller, model, plan, images(), ridge=1e9)
    np.testing.assert_allclose(smaller.layers[-1].kernel, kernel, atol=1e-6)


def test_a_residual_net_comes_nearer():
    image = keras.Input((8, 8, 4))
    x = layers.Conv2D(8, 3, padding="same", name="a")(image)
    y = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same", name="b")(x))
    x = layers.Add()([x, layers.ReLU()(y)])
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, groups=2)(x))
    model = shaken(keras.Model(image, layers.Dense(3)(x)))
    plan = pruning.plan_channels(model, macs=0.5)
    smaller = pruning.remove_channels(model, plan)
    other = np.random.default_rng(1).normal(size=(32, 8, 8, 4))

    def error():
        return float(np.square(np.array(smaller(other)) - model(other)).mean())

    cut = error()
    pruning.reconstruct(smaller, model, plan, images())
    assert error() < 0.5 * cut


def test_what_cannot_be_reconstructed_is_named(monkeypatch):
    model = on_images(layers.Conv2D(4, 1, name="a"), layers.Conv2D(2, 1))
    plan = pruning.plan_channels(model, macs=0.5)
    smaller = pruning.remove_channels(model, plan)
    with pytest.raises(ValueError, match="fitted on images, got no batch"):
        pruning.reconstruct(smaller, model, plan, [])
    monkeypatch.setattr(arguments, "MOST_IMAGES", 3)
    with pytest.raises(ValueError, match="images goes on after .*does it ever end"):
        pruning.reconstruct(smaller, model, plan, itertools.repeat(images()[0]))
    image = keras.Input((8, 8, 4))
    nested = keras.Model(image, model(image), name="nested")
    with pytest.raises(ValueError, match="'nested' has models inside"):
        pruning.reconstruct(smaller, nested, plan, images())


def test_statistics_are_the_average_over_batches():
    model = on_images(
        layers.BatchNormalization(name="first"),
        layers.BatchNormalization(name="frozen"),
    )
    shaken(model)
    model.get_layer("frozen").trainable = False
    frozen = model.get_layer("frozen").get_weights()
    generator = np.random.default_rng(0)
    batches = [generator.normal(i, 1 + i, size=(8, 8, 8, 4)) for i in range(3)]
    pruning.reestimate_batch_norm(model, iter(batches))
    first = model.get_layer("first")
    means = np.mean([b.mean((0, 1, 2)) for b in batches], 0)
    variances = np.mean([b.var((0, 1, 2)) for b in batches], 0)
    np.testing.assert_allclose(first.moving_mean, means, rtol=1e-4)
    np.testing.assert_allclose(first.moving_variance, variances, rtol=1e-4)
    assert first.momentum == 0.99
    for old, new in zip(frozen, model.get_layer("frozen").get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    with pytest.raises(ValueError, match="got no batch"):
        pruning.reestimate_batch_norm(model, [])


def test_zeros_of_a_pruned_net_stay():
    model = shaken(on_images(layers.Conv2D(6, 3, name="a"), layers.Conv2D(3, 3)))
    pruning.Prune(pruning.ConstantSparsity(0.6)).cut(model, 0.6)
    plan = pruning.plan_channels(model, macs=0.5)
    smaller = pruning.remove_channels(model, plan)
    before = [np.array(w) for w in smaller.weights]
    pruning.reconstruct(smaller, model, plan, images())
    old, new = before[2], smaller.weights[2]
    assert (old == 0).any()
    np.testing.assert_array_equal(np.array(new) == 0, old == 0)
    assert not np.allclose(new, old)
    # What is free is fitted: nearer to the whole net than before.
    [image, *_] = images()
    wanted, fitted = np.array(model(image)), np.array(smaller(image))
    for weight, value in zip(smaller.weights, before, strict=True):
        weight.assign(value)
    assert np.square(fitted - wanted).sum() < np.square(smaller(image) - wanted).sum()
