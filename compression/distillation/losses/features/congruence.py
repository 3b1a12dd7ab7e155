"""Correlation congruence: a kernel between examples is the teacher's.

Peng et al., "Correlation Congruence for Knowledge Distillation" (ICCV 2019),
https://arxiv.org/abs/1904.01802
"""

import math

import keras
from keras import ops

from compression.arguments import require_number
from compression.distillation.losses.feature_loss import FeatureLoss
from compression.distillation.losses.geometry import cosines, flat


def correlations(features, *, sharpness: float, order: int):
    """Taylor series of exp(-sharpness |a - b|^2) for vectors of unit length.

    With a.b their cosine, exp(-2 s) * sum of (2 s a.b)^p / p! for p = 0 ... order.

    Args:
        features: (batch, ...).
        sharpness: s > 0, the paper's gamma.
        order: the last power p.

    Returns:
        (batch, batch) float32.
    """
    cosine = cosines(flat(features))
    # The power 0 is 1: its derivative as a power is not a number at a cosine of 0.
    series = 1.0 + sum(
        (2 * sharpness) ** p / math.factorial(p) * cosine**p
        for p in range(1, order + 1)
    )
    return math.exp(-2 * sharpness) * series


def congruence_loss(teacher, student, *, sharpness: float, order: int):
    """Mean squared difference of an example's correlations, per example.

    The mean over the batch is the paper's: the squared norm over batch^2.

    Args:
        teacher: (batch, ...).
        student: (batch, ...), of any size: what is compared is batch x batch, so no
            projection is needed.
        sharpness: s > 0, the paper's gamma.
        order: the last power of the series, at least 1.

    Returns:
        (batch,) float32.
    """
    teacher, student = (
        correlations(features, sharpness=sharpness, order=order)
        for features in (teacher, student)
    )
    return ops.mean(ops.square(teacher - student), axis=-1)


@keras.saving.register_keras_serializable("limbeck")
class CorrelationCongruence(FeatureLoss):
    """`congruence_loss` of each pair of layers, summed, as a part of a `Distiller`.

    Args:
        teacher: layers of the teacher, as for every `FeatureLoss`.
        student: layers of the student.
        sharpness: of the kernel, above 0; the paper's gamma, 0.4.
        order: the last power of its series, at least 1; the paper's P, 2.
        weight: factor in the total loss, at least 0; or a schedule of the step.
        name: name of this part in logs and history.

    Raises:
        ValueError: `sharpness` is not positive, or `order` is not a whole number of
            at least 1.
    """

    match_sizes = False

    def __init__(
        self,
        teacher,
        student,
        sharpness: float = 0.4,
        order: int = 2,
        weight=1.0,
        name="correlation_congruence",
    ):
        super().__init__(teacher, student, weight, name)
        require_number("sharpness", sharpness)
        require_number("order", order)
        if sharpness <= 0:
            raise ValueError(f"sharpness must be positive, got {sharpness}")
        if order != int(order) or order < 1:
            raise ValueError(f"order must be a whole number from 1 on, got {order}")
        self.sharpness = sharpness
        self.order = int(order)

    def values(self, teacher, student, batch):
        return sum(
            congruence_loss(*pair, sharpness=self.sharpness, order=self.order)
            for pair in zip(teacher, student, strict=True)
        )

    def get_config(self):
        return super().get_config() | {
            "sharpness": self.sharpness,
            "order": self.order,
        }
