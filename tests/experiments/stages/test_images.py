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
        ((64,), "start from a net that takes 1 channels"),
        ((28, 20, 1), "images are cut to squares only"),
        ((None, None, 1), "save it with a fixed image size"),
    ],
)
def test_the_way_out_is_named(shape, way_out):
    image = keras.Input(shape)
    model = keras.Model(image, keras.layers.Identity()(image))
    with pytest.raises(ValueError, match=f"my net takes images of .*{way_out}"):
        require_images(model, load("digits"), "my net")


def test_the_same_size_is_taken():
    image = keras.Input((8, 8, 1))
    model = keras.Model(image, keras.layers.Identity()(image))
    assert require_images(model, load("digits"), "my net") is None
