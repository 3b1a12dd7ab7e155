"""Which two views are of the same image? Chen et al. (2020), SimCLR.

A Simple Framework for Contrastive Learning of Visual Representations,
https://arxiv.org/abs/2002.05709.
"""

import math
from dataclasses import dataclass, field

import keras
from keras import ops

from compression.distillation.losses.geometry import cosines
from experiments.stages.tasks.task import Task


@dataclass(frozen=True)
class SimCLR(Task):
    """Of two views of an image each must find the other among all of the batch.

    The loss is NT-Xent (section 2.1), which is the cross-entropy of the similarities
    as logits; the projection head (section 4.2) is thrown away. What views of an image
    have in common is what the net learns: without strong augmentation (crops and
    colours, section 3) there is little to learn.

    Attributes:
        temperature: of the similarities; 0.5 was best on CIFAR-10 (appendix B.9).
        width: of the projection.

    Raises:
        ValueError: a number is not positive.
    """

    temperature: float = 0.5
    width: int = 128

    kind: str = field(default="simclr", init=False)

    what = "which two views are of the same image"
    views = 2

    def __post_init__(self):
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature must be positive, got {self.temperature}")
        if self.width < 1:
            raise ValueError(f"width must be positive, got {self.width}")

    def net(self, backbone: keras.Model) -> keras.Model:
        features = backbone.output
        x = keras.layers.Dense(
            features.shape[-1], activation="relu", name="projection1"
        )(features)
        x = keras.layers.Dense(self.width, name="projection2")(x)
        x = Similarities(self.temperature, dtype="float32", name="similarities")(x)
        return keras.Model(backbone.input, x, name=backbone.name)

    def batch(self, *views):
        import tensorflow as tf

        one, other = views
        count = tf.shape(one, out_type=tf.int64)[0]
        number = tf.range(count)
        partners = tf.concat([number + count, number], axis=0)
        return tf.concat([one, other], axis=0), partners


class Similarities(keras.layers.Layer):
    """Cosines between all vectors of a batch, divided by the temperature.

    A vector is not compared with itself: the diagonal is so low that softmax gives 0.

    Shapes: (batch, width) -> (batch, batch).
    """

    def __init__(self, temperature: float, **kwargs):
        super().__init__(**kwargs)
        self.temperature = temperature

    def call(self, vectors):
        logits = cosines(vectors) / self.temperature
        return logits - 1e9 * ops.eye(ops.shape(vectors)[0])

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[0])
