"""Small nets, and weights that each have a value of their own."""

import keras
import numpy as np
from keras import layers

import architectures


def shaken(model, seed=0):
    """Gives every weight a value of its own: no zero bias, no fresh batch norm."""
    generator = np.random.default_rng(seed)
    for variable in model.variables:
        if keras.backend.is_float_dtype(variable.dtype):
            value = generator.normal(scale=0.1, size=variable.shape)
            positive = variable.name in ("gamma", "moving_variance")
            variable.assign(abs(value) + 0.5 if positive else value)
    return model


def alexnet():
    return shaken(
        architectures.build("alexnet_small", width=0.125, input_shape=(28, 28, 1))
    )


def small_net():
    image = keras.Input((6, 6, 2))
    x = layers.Conv2D(3, 3, activation="relu")(image)
    return shaken(keras.Model(image, layers.Dense(4)(layers.Flatten()(x))))


def on_images(*stack, shape=(8, 8, 4)):
    return keras.Sequential([keras.Input(shape), *stack])
