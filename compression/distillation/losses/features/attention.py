"""Attention transfer: the student looks where the teacher looks.

Zagoruyko & Komodakis, "Paying More Attention to Attention" (ICLR 2017),
https://arxiv.org/abs/1612.03928
"""

import keras
from keras import ops

from compression.distillation.losses.feature_loss import FeatureLoss, require_maps
from compression.distillation.losses.geometry import flat, unit_length


def attention(feature):
    """Sum over the channels of the squares, at unit length (section 3.1, p = 2).

    Args:
        feature: (batch, height, width, channels).

    Returns:
        (batch, height * width) float32.
    """
    feature = ops.cast(feature, "float32")
    return unit_length(flat(ops.sum(ops.square(feature), axis=-1)))


def attention_loss(teacher, student):
    """Mean squared difference of the attention over the positions, per example.

    Equation 2 has half the length of the difference. The mean of squares is what
    the paper trains with: section 4 divides its factor, 1000, by the number of
    positions and examples.

    Args:
        teacher: (batch, height, width, channels).
        student: of the same height and width.

    Returns:
        (batch,) float32.
    """
    return ops.mean(ops.square(attention(teacher) - attention(student)), axis=-1)


@keras.saving.register_keras_serializable("limbeck")
class AttentionTransfer(FeatureLoss):
    """`attention_loss` of each pair of maps, summed, as a part of a `Distiller`.

    The channels need not match. The paper's weight is 1000.
    """

    def __init__(self, teacher, student, weight=1.0, name="attention_transfer"):
        super().__init__(teacher, student, weight, name)

    def prepare(self, teacher_shapes, student_shapes):
        require_maps(self.name, [*teacher_shapes, *student_shapes])

    def values(self, teacher, student, batch):
        return sum(attention_loss(*pair) for pair in zip(teacher, student, strict=True))
