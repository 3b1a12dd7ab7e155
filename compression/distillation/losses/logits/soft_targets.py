"""Soft targets: the student's softened softmax is to match the teacher's.

Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network" (2015),
https://arxiv.org/abs/1503.02531
"""

import keras
from keras import ops

from compression.distillation.arguments import require_tensors
from compression.distillation.losses.batch import Schedule, at_step, serialized
from compression.distillation.losses.logit_loss import LogitLoss, require_temperature


def soft_target_loss(teacher_logits, student_logits, *, temperature: float):
    """T^2 KL(teacher || student) of the softened softmaxes, per example, in nats.

    The factor T^2 keeps the gradient on the scale of the label loss (section 2).
    Computed in float32 and in log space: nothing is clipped.

    Args:
        teacher_logits: (batch, classes); one logit z for two classes means (0, z), so
            that soft targets are the sigmoid of z / T.
        student_logits: likewise.
        temperature: T > 0.

    Returns:
        (batch,) tensor, zero where the two softmaxes agree.

    Raises:
        ValueError: `temperature` is not positive, or logits are no tensors.
    """
    require_tensors(teacher_logits=teacher_logits, student_logits=student_logits)
    return softened_divergence(
        two_classes(teacher_logits),
        two_classes(student_logits),
        temperature=temperature,
    )


def two_classes(logits):
    """One logit for two classes as (batch, 2); other logits as they are."""
    if logits.shape[-1] != 1:
        return logits
    return ops.concatenate([ops.zeros_like(logits), logits], axis=-1)


def softened_divergence(teacher_logits, student_logits, *, temperature: float):
    """`soft_target_loss` of as many classes as there are logits; 0 for one class."""
    require_temperature(temperature)
    log_p = ops.log_softmax(ops.cast(teacher_logits, "float32") / temperature)
    log_q = ops.log_softmax(ops.cast(student_logits, "float32") / temperature)
    return temperature**2 * ops.sum(ops.exp(log_p) * (log_p - log_q), axis=-1)


@keras.saving.register_keras_serializable("limbeck")
class SoftTargets(LogitLoss):
    """Hinton's soft targets (section 2) as a part of a `Distiller`.

    Args:
        temperature: T > 0 of both softmaxes; or a schedule of the step.
        weight: factor of this part in the total loss, at least 0; or a schedule.
        name: name of this part in logs and history.

    Raises:
        ValueError: `temperature` is not positive, or `weight` is negative.
    """

    def __init__(
        self,
        temperature: float | Schedule = 4.0,
        weight: float | Schedule = 1.0,
        name: str = "soft_targets",
    ):
        super().__init__(weight, name)
        self.temperature = require_temperature(temperature)

    def values(self, teacher_logits, student_logits, batch):
        temperature = at_step(self.temperature, batch)
        return soft_target_loss(teacher_logits, student_logits, temperature=temperature)

    def get_config(self):
        return super().get_config() | {"temperature": serialized(self.temperature)}
