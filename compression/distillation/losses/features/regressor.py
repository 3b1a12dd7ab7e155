"""The papers on pre-activations: 1x1 convolution and norm of the student's feature."""

from collections.abc import Sequence

import keras

from compression.distillation.losses.feature_loss import projector


class Regressor(keras.layers.Layer):
    """A projector to `channels` and batch normalisation, for features of `shape`.

    Built as it is made.
    """

    def __init__(self, shape: Sequence[int], channels: int):
        super().__init__(dtype="float32")
        self.project = projector(shape, channels)
        self.norm = keras.layers.BatchNormalization(momentum=0.9, dtype="float32")
        self.norm.build((*shape[:-1], channels))
        self.built = True

    def call(self, feature, training=None):
        return self.norm(self.project(feature), training=training)
