"""Soft targets of standardised logits: the student's logits may have their own scale.

Sun et al., "Logit Standardization in Knowledge Distillation" (CVPR 2024),
https://arxiv.org/abs/2403.01427
"""

import math

import keras

from compression.distillation.losses.batch import Schedule, at_step
from compression.distillation.losses.geometry import deviations
from compression.distillation.losses.logits.soft_targets import (
    SoftTargets,
    soft_target_loss,
)


def standardized(logits):
    """Each example's logits less their mean, over their standard deviation.

    Args:
        logits: (batch, classes).

    Returns:
        (batch, classes) float32 of mean 0 and deviation 1 (that of the whole
        population, as in the paper; the authors' code divides by classes - 1). Equal
        logits give zeros, and get no gradient.
    """
    unit = deviations(logits)
    return math.sqrt(unit.shape[-1]) * unit


def standardized_soft_target_loss(
    teacher_logits, student_logits, *, temperature: float
):
    """`soft_target_loss` of the `standardized` logits, per example, in nats.

    Has the factor T^2 of the base temperature, as algorithm 2 has.

    Args:
        teacher_logits: (batch, classes).
        student_logits: (batch, classes).
        temperature: T > 0 for logits of deviation 1.

    Returns:
        (batch,) float32, zero where one's logits are the other's times a positive
        number, plus a number.

    Raises:
        ValueError: `temperature` is not positive.
    """
    return soft_target_loss(
        standardized(teacher_logits),
        standardized(student_logits),
        temperature=temperature,
    )


@keras.saving.register_keras_serializable("limbeck")
class StandardizedSoftTargets(SoftTargets):
    """`standardized_soft_target_loss` as a part of a `Distiller`.

    The paper takes T = 2, weight 9, and 0.1 for the labels' loss.

    Args:
        temperature: T > 0 of both softmaxes; or a schedule of the step.
        weight: factor of this part in the total loss, at least 0; or a schedule.
        name: name of this part in logs and history.

    Raises:
        ValueError: `temperature` is not positive, or `weight` is negative.
    """

    fewest_logits = 2

    def __init__(
        self,
        temperature: float | Schedule = 2.0,
        weight: float | Schedule = 1.0,
        name: str = "standardized_soft_targets",
    ):
        super().__init__(temperature, weight, name)

    def values(self, teacher_logits, student_logits, batch):
        temperature = at_step(self.temperature, batch)
        return standardized_soft_target_loss(
            teacher_logits, student_logits, temperature=temperature
        )
