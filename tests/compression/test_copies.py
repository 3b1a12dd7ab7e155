"""Copies of a net compute what the net computes, with variables of their own."""

import keras
import numpy as np
import pytest
from keras import layers

from compression.copies import copied, fresh

pytestmark = pytest.mark.usefixtures("eagerly")

IMAGES = np.random.default_rng(0).normal(3, 2, (16, 4, 4, 2)).astype("float32")


def adapted():
    """A net that has read its images' mean and deviation from data."""
    read = layers.Normalization()
    read.adapt(IMAGES)
    inner = keras.Sequential([keras.Input((4, 4, 2)), read, layers.Flatten()])
    return keras.Sequential([keras.Input((4, 4, 2)), inner, layers.Dense(3)])


def test_a_copy_gives_the_same_and_shares_nothing():
    model = adapted()
    copy = copied(model)
    expected = model(IMAGES)
    np.testing.assert_array_equal(copy(IMAGES), expected)
    for variable in copy.weights:
        variable.assign(variable * 0)
    np.testing.assert_array_equal(model(IMAGES), expected)


def test_a_fresh_net_has_new_weights_and_the_data_s_statistics():
    model = adapted()
    new = fresh(model)
    assert np.abs(new(IMAGES) - model(IMAGES)).max() > 0.01
    new.layers[-1].set_weights(model.layers[-1].get_weights())
    np.testing.assert_array_equal(new(IMAGES), model(IMAGES))
