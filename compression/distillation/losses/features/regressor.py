"""What projectors of several papers share: batch normalisation, also after a 1x1
convolution of the student's feature.
"""

import math
from collections.abc import Sequence

import keras

from compression.distillation.losses.feature_loss import projector

# PyTorch's defaults, which the authors' releases keep: where a student's features are
# small, Keras's epsilon of 1e-3 gives another loss.
EPSILON = 1e-5
MOMENTUM = 0.9  # share of the old statistics; PyTorch's 0.1 is that of the batch's


def batch_norm() -> keras.layers.BatchNormalization:
    """With the constants of the papers' code, in float32."""
    return keras.layers.BatchNormalization(
        momentum=MOMENTUM, epsilon=EPSILON, dtype="float32"
    )


class Regressor(keras.layers.Layer):
    """A projector to `channels` and batch normalisation, for features of `shape`.

    Built as it is made. The kernel is normal of variance 2 / `channels`, as both
    papers' code draws it: 2 over the output's channels times the kernel's size, 1.
    """

    def __init__(self, shape: Sequence[int], channels: int):
        super().__init__(dtype="float32")
        self.project = projector(
            shape,
            channels,
            initializer=keras.initializers.RandomNormal(stddev=math.sqrt(2 / channels)),
        )
        self.norm = batch_norm()
        self.norm.build((*shape[:-1], channels))
        self.built = True

    def call(self, feature, training=None):
        return self.norm(self.project(feature), training=training)
