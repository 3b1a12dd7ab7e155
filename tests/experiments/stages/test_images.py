"""Images that a model does not take, or not so many at once: what to do about it."""

import keras
import numpy as np
import pytest

from experiments.data import load
from experiments.stages.images import of_any_batch, require_images


@pytest.mark.parametrize(
    ("shape", "way_out"),
    [
        ((28, 28, 1), "are \\(8, 8, 1\\): set image_size=28"),
        ((8, 8, 3), "takes 1 channels, or give the data as rgb:digits"),
        ((28, 20, 1), "images are cut to squares only"),
        ((None, None, 1), "save it with a fixed image size"),
    ],
)
def test_the_way_out_is_named(shape, way_out):
    image = keras.Input(shape)
    model = keras.Model(image, keras.layers.Identity()(image))
    with pytest.raises(ValueError, match=f"my net takes images of .*{way_out}"):
        require_images(model, load("digits"), "my net")


@pytest.mark.parametrize(
    ("shape", "way_out"),
    [
        ((64,), r"Input\(\(8, 8, 1\)\), keras.layers.Reshape\(\(64,\)\), net\]\)"),
        ((192,), r"Input\(\(8, 8, 3\)\), keras.layers.Reshape\(\(192,\)\), net\]\)"),
        ((8, 8), r"Input\(\(8, 8, 1\)\), keras.layers.Reshape\(\(8, 8\)\), net\]\)"),
        ((65,), r"no images \(height, width, channels\)$"),
        ((None,), r"no images \(height, width, channels\)$"),
        ((2, 4, 4, 2), r"no images \(height, width, channels\)$"),
    ],
)
def test_what_is_no_image(shape, way_out):
    image = keras.Input(shape)
    model = keras.Model(image, keras.layers.Identity()(image))
    with pytest.raises(ValueError, match=f"my net takes .*{way_out}"):
        require_images(model, load("digits"), "my net")


def test_channels_first_are_not_taken_for_a_size():
    image = keras.Input((1, 8, 8))
    pooled = keras.layers.GlobalAveragePooling2D(data_format="channels_first")(image)
    with pytest.raises(ValueError, match="channels first, and images have them last"):
        require_images(keras.Model(image, pooled), load("digits"), "my net")


def for_four(reshape):
    image = keras.Input((8, 8, 1), batch_size=4)
    inner = keras.Sequential([keras.Input((64,), batch_size=4), keras.layers.Dense(3)])
    return keras.Model(image, inner(reshape(image)))


def test_a_net_for_one_number_of_images_takes_any():
    model = for_four(keras.layers.Flatten())
    opened = of_any_batch(model, "my net")
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 1))
    assert opened.inputs[0].shape == (None, 8, 8, 1)
    np.testing.assert_array_equal(opened(images), model(images))
    np.testing.assert_allclose(opened(images[:1]), model(images)[:1], rtol=1e-5)
    assert of_any_batch(opened, "my net") is opened
    assert model.inputs[0].shape == (4, 8, 8, 1)


def test_a_net_that_computes_by_the_number_of_images_is_refused():
    model = for_four(lambda image: keras.ops.reshape(image, (4, 64)))
    with pytest.raises(
        ValueError, match="my net takes 4 images at once .*batch_size, "
    ):
        of_any_batch(model, "my net")


def test_the_same_size_is_taken():
    image = keras.Input((8, 8, 1))
    model = keras.Model(image, keras.layers.Identity()(image))
    assert require_images(model, load("digits"), "my net") is None
