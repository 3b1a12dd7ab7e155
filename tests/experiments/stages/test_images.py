"""Images that a model does not take: what to do about it."""

import keras
import pytest

from experiments.data import load
from experiments.stages.images import require_images


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


def test_the_same_size_is_taken():
    image = keras.Input((8, 8, 1))
    model = keras.Model(image, keras.layers.Identity()(image))
    assert require_images(model, load("digits"), "my net") is None
