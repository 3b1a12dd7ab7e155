"""By how much was the image turned? Gidaris et al. (2018), section 2.

Unsupervised Representation Learning by Predicting Image Rotations,
https://arxiv.org/abs/1803.07728.
"""

from dataclasses import dataclass, field

import keras

from experiments.stages.tasks.task import Task

TURNS = 4  # of 90 degrees; all four of an image are in the same batch (section 2.2)


@dataclass(frozen=True)
class Rotation(Task):
    """Each image in four directions, of which the net must tell which one it is."""

    kind: str = field(default="rotation", init=False)

    what = "which way up images are"

    def check(self, image_shape: tuple[int, int, int]) -> None:
        height, width, _ = image_shape
        if height != width:
            raise ValueError(f"only square images can be turned, got {image_shape}")

    def net(self, backbone: keras.Model) -> keras.Model:
        turn = keras.layers.Dense(TURNS, name="turn")(backbone.output)
        return keras.Model(backbone.input, turn, name=backbone.name)

    def batch(self, *views):
        import tensorflow as tf

        (images,) = views
        turned = [tf.image.rot90(images, turn) for turn in range(TURNS)]
        turns = tf.repeat(tf.range(TURNS, dtype=tf.int64), tf.shape(images)[0])
        return tf.concat(turned, axis=0), turns
