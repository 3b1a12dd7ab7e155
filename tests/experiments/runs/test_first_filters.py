"""The kernels with which nets look at pixels."""

import keras
import numpy as np
from keras import layers

from experiments.runs.first_filters import MOST, first_filters


def test_of_the_first_convolution():
    conv = layers.Conv2D(5, 3)
    rescaled = [keras.Input((9, 9, 3)), layers.Rescaling(1 / 255), conv]
    model = keras.Sequential([*rescaled, layers.Conv2D(2, 1)])
    np.testing.assert_array_equal(first_filters(model), conv.kernel.numpy())


def test_of_a_model_inside():
    inner = keras.Sequential([keras.Input((9, 9, 1)), layers.Conv2D(MOST + 5, 3)])
    image = keras.Input((9, 9, 1))
    assert first_filters(keras.Model(image, inner(image))).shape == (3, 3, 1, MOST)


def test_none_where_other_channels_come_in():
    dense = keras.Sequential([keras.Input((9, 9, 1)), layers.Flatten()])
    deep = keras.Sequential([keras.Input((9, 9, 4)), layers.Conv2D(2, 3)])
    depthwise = [keras.Input((9, 9, 3)), layers.DepthwiseConv2D(3), layers.Conv2D(8, 3)]
    assert first_filters(dense) is None and first_filters(deep) is None
    assert first_filters(keras.Sequential(depthwise)) is not None
