"""Numbers held at once, counted by hand."""

import keras
import pytest
from keras import layers

from compression import measure
from tests.compression.small_nets import on_images


def test_a_chain_holds_what_goes_in_and_what_comes_out():
    model = on_images(  # 8 * 8 * 4 = 256 go in
        layers.Conv2D(10, 3, padding="same"),  # 640
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(),  # 160
        layers.Flatten(),
        layers.Dense(700),
        layers.Dense(2),
    )
    assert measure.peak_activations(model) == 256 + 640
    wide = on_images(layers.MaxPooling2D(), layers.Flatten(), layers.Dense(700))
    assert measure.peak_activations(wide) == 64 + 700


def test_a_shortcut_is_held_until_it_is_added():
    image = keras.Input((4, 4, 1))
    x = layers.Conv2D(3, 1)(image)  # 48
    y = layers.Conv2D(8, 1)(x)  # 128, x being held
    y = layers.Conv2D(3, 1)(y)  # 48: 48 + 128 + 48
    model = keras.Model(image, layers.Add()([x, y]))
    assert measure.peak_activations(model) == 48 + 128 + 48
    read_twice = keras.Model(image, layers.Concatenate()([x, layers.ReLU()(x)]))
    assert measure.peak_activations(read_twice) == 48 + 48 + 96  # a room of its own


def test_an_open_size_is_named():
    image = keras.Input((None, None, 1))
    model = keras.Model(image, layers.Conv2D(3, 1, name="wide")(image))
    with pytest.raises(ValueError, match=r"gives maps of open size \(None, None, 1\)"):
        measure.peak_activations(model)
