"""Resizing by products and gathers: the values of Keras's own, which XLA refuses."""

import keras
import numpy as np
import pytest
from keras import ops

from compression.distillation.losses.resizing import ResizeTo, nearest_to

SIZES = [
    ((8, 8), (16, 24)),
    ((7, 5), (3, 11)),
    ((32, 32), (12, 12)),
    ((9, 4), (9, 1)),
    ((1, 1), (4, 3)),
    ((13, 28), (299, 32)),
]
EVERY = pytest.mark.parametrize(("have", "want"), SIZES)


def images(size, dtype="float32"):
    values = np.random.default_rng(0).uniform(0, 255, (2, *size, 3))
    return values.astype(dtype)


@pytest.mark.backends
def test_by_hand():
    row = np.array([1.0, 2.0, 6.0, 10.0], "float32").reshape(1, 1, 4, 1)
    got = ops.convert_to_numpy(nearest_to(row, (2, 2)))
    np.testing.assert_allclose(got.ravel(), [2, 10, 2, 10])
    # Two pixels of four: triangles of half-width 2 around 1 and 3 give the weights
    # 3/4, 3/4, 1/4, over their sum 7/4.
    got = ops.convert_to_numpy(ResizeTo((1, 2))(row))
    first, second = (3 * 1 + 3 * 2 + 6) / 7, (2 + 3 * 6 + 3 * 10) / 7
    np.testing.assert_allclose(got.ravel(), [first, second], rtol=1e-6)


@EVERY
def test_nearest_agrees_with_keras(have, want):
    expected = ops.image.resize(images(have), want, interpolation="nearest")
    got = nearest_to(ops.convert_to_tensor(images(have)), want)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(got), ops.convert_to_numpy(expected)
    )


@EVERY
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_smooth_agrees_with_keras(have, want, dtype):
    """Whole pixels give fractions, where Keras would round them again."""
    pixels = images(have, dtype)
    expected = keras.layers.Resizing(*want, antialias=True)(pixels.astype("float32"))
    got = ResizeTo(want)(pixels)
    np.testing.assert_allclose(
        ops.convert_to_numpy(got), ops.convert_to_numpy(expected), atol=2e-3
    )


def test_the_layer_takes_images_of_any_size_and_is_saved(tmp_path):
    image = keras.Input((None, None, 3))
    model = keras.Model(image, ResizeTo((6, 5))(image))
    model.save(tmp_path / "resize.keras")
    again = keras.saving.load_model(tmp_path / "resize.keras")
    for size in ((4, 9), (16, 16)):
        got = again.predict(images(size), verbose=0)
        expected = keras.layers.Resizing(6, 5, antialias=True)(images(size))
        np.testing.assert_allclose(got, ops.convert_to_numpy(expected), atol=2e-3)
