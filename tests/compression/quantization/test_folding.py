"""Batch norm folded: the same outputs, and left where it cannot be."""

import keras
import numpy as np
import pytest
from keras import layers

from compression.quantization import calibrate, fold_batch_norm
from tests.compression.small_nets import on_images, shaken

pytestmark = pytest.mark.usefixtures("eagerly")
X = np.random.default_rng(0).normal(size=(8, 8, 8, 4)).astype("float32")

KERNELS = {
    "conv": layers.Conv2D(6, 3, use_bias=False),
    "grouped": layers.Conv2D(6, 3, groups=2),
    "depthwise": layers.DepthwiseConv2D(3, depth_multiplier=2),
    "transposed": layers.Conv2DTranspose(5, 2, strides=2),
    "separable": layers.SeparableConv2D(6, 3, depth_multiplier=2),
    "dense": layers.Dense(5),
}


def norms(model):
    return [x.name for x in model.layers if isinstance(x, layers.BatchNormalization)]


@pytest.mark.parametrize("kind", KERNELS)
@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}])
def test_outputs_stay(kind, options):
    layer = KERNELS[kind]
    layer = type(layer).from_config(layer.get_config())
    norm = layers.BatchNormalization(name="bn", epsilon=1e-2, **options)
    model = shaken(on_images(layer, norm, layers.ReLU()))
    before = model.get_weights()
    folded = fold_batch_norm(model)
    assert norms(folded) == []
    np.testing.assert_allclose(folded(X), model(X), atol=1e-6 * np.abs(model(X)).max())
    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)


def test_batch_norm_that_is_part_of_no_kernel_stays():
    x = image = keras.Input((8, 8, 4), name="image")
    shared = layers.Conv2D(4, 3, padding="same", name="shared")
    x = layers.BatchNormalization(name="at_the_door")(x)
    x = layers.BatchNormalization(name="after_shared")(shared(shared(x)))
    x = layers.Conv2D(4, 3, activation="relu", name="active")(x)
    x = layers.BatchNormalization(name="after_activation")(x)
    y = layers.Conv2D(4, 1, name="read_twice")(x)
    z = layers.BatchNormalization(name="of_two")(y)
    x = layers.Conv2D(4, 1, name="kept")(layers.Add()([y, z]))
    x = layers.BatchNormalization(name="after_kept")(x)
    x = layers.BatchNormalization(name="folded")(layers.Conv2D(2, 1, name="plain")(x))
    model = shaken(keras.Model(image, x))
    folded = fold_batch_norm(model, skip="kept")
    assert norms(folded) == [
        *("at_the_door", "after_shared", "after_activation", "of_two", "after_kept"),
    ]
    np.testing.assert_allclose(folded(X), model(X), atol=1e-5)


def test_models_inside_and_missing_biases():
    inner = on_images(
        layers.Conv2D(3, 3, use_bias=False, name="conv"),
        layers.BatchNormalization(name="bn"),
    )
    image = keras.Input((8, 8, 4), name="image")
    x = layers.Flatten()(layers.Conv2D(2, 1, use_bias=False, name="last")(inner(image)))
    model = shaken(keras.Model(image, x))
    folded = fold_batch_norm(model)
    assert folded.get_layer("last").bias is None
    biased = fold_batch_norm(model, biased=True)
    np.testing.assert_array_equal(biased.get_layer("last").bias, [0, 0])
    for each in (folded, biased):
        assert norms(each) == []
        np.testing.assert_allclose(each(X), model(X), atol=1e-6)


def test_layers_that_have_no_bias_of_their_own_stay():
    """They are asked for a bias, and keep it inside."""
    x = image = keras.Input((8, 8, 4))
    x = layers.BatchNormalization(name="folded")(layers.Conv2D(6, 3)(x))
    x = layers.Reshape((36, 6))(x)
    x = layers.MultiHeadAttention(2, 3)(x, x)
    model = shaken(keras.Model(image, layers.Dense(2)(layers.GRU(4)(x))))
    folded = fold_batch_norm(model)
    assert norms(folded) == []
    np.testing.assert_allclose(folded(X), model(X), atol=1e-5)


def test_what_cannot_be_folded_is_refused():
    model = shaken(on_images(layers.Conv2D(2, 3), layers.Flatten()))
    with pytest.raises(ValueError, match="is quantized already: give the net that it"):
        fold_batch_norm(calibrate(model, [X]))
    with pytest.raises(ValueError, match=r"skip: no layer is called 'nothing'"):
        fold_batch_norm(model, skip="nothing")
    model.layers[0].bias.assign([np.nan, 0])
    with pytest.raises(ValueError, match=r"bias of .* is not finite"):
        fold_batch_norm(model)
