"""The image itself, from a few numbers: the classic of learning without labels.

Hinton & Salakhutdinov (2006), Reducing the Dimensionality of Data with Neural
Networks, with convolutions in the decoder and no pretraining layer by layer.
"""

from dataclasses import dataclass, field

import keras
from keras import layers

from experiments.stages.tasks.task import Task

FILTERS = 32  # of the decoder
SMALLER = 4  # the decoder begins with maps so many times smaller than the image


@dataclass(frozen=True)
class Autoencoder(Task):
    """A decoder draws the image again from the backbone's features.

    The loss is the mean squared error of normalised pixels.
    """

    kind: str = field(default="autoencoder", init=False)

    what = "to draw images again from their features"
    accuracy = False

    def net(self, backbone: keras.Model) -> keras.Model:
        height, width, channels = backbone.input_shape[1:]
        rows, columns = -(-height // SMALLER), -(-width // SMALLER)
        x = layers.Dense(rows * columns * FILTERS, activation="relu", name="maps")(
            backbone.output
        )
        x = layers.Reshape((rows, columns, FILTERS), name="as_maps")(x)
        for number in (1, 2):
            x = layers.Conv2DTranspose(
                FILTERS,
                3,
                strides=2,
                padding="same",
                activation="relu",
                name=f"larger{number}",
            )(x)
        over = ((0, rows * SMALLER - height), (0, columns * SMALLER - width))
        x = layers.Cropping2D(over, name="cropped")(x)
        x = layers.Conv2D(channels, 3, padding="same", dtype="float32", name="again")(x)
        return keras.Model(backbone.input, x, name=backbone.name)

    def batch(self, *views):
        (images,) = views
        return images, images

    def loss(self) -> keras.losses.Loss:
        return keras.losses.MeanSquaredError()
