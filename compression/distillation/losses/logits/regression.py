"""Logit regression: the student's logits are to equal the teacher's.

Ba & Caruana, "Do Deep Nets Really Need to be Deep?" (NIPS 2014),
https://arxiv.org/abs/1312.6184
"""

import keras
from keras import ops

from compression.distillation.losses.logit_loss import LogitLoss


def logit_regression_loss(teacher_logits, student_logits):
    """Mean squared difference of the logits, per example.

    The paper has half the sum over the classes; the mean does not depend on their
    number. The paper also scales the teacher's logits over the train split to mean 0
    and deviation 1: left out, the student's logits then mean what the teacher's do.

    Args:
        teacher_logits: (batch, classes).
        student_logits: (batch, classes).

    Returns:
        (batch,) float32.
    """
    teacher = ops.cast(teacher_logits, "float32")
    student = ops.cast(student_logits, "float32")
    return ops.mean(ops.square(teacher - student), axis=-1)


@keras.saving.register_keras_serializable("limbeck")
class LogitRegression(LogitLoss):
    """`logit_regression_loss` as a part of a `Distiller`."""

    def __init__(self, weight=1.0, name="logit_regression"):
        super().__init__(weight, name)

    def values(self, teacher_logits, student_logits, batch):
        return logit_regression_loss(teacher_logits, student_logits)
