"""Losses between the logits of a teacher and of a student.

Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network" (2015),
https://arxiv.org/abs/1503.02531
"""

import keras
from keras import ops


def soft_target_loss(teacher_logits, student_logits, *, temperature: float):
    """T^2 KL(teacher || student) of the softened softmaxes, per example, in nats.

    The factor T^2 keeps the gradient on the scale of the label loss (section 2).
    Computed in float32 and in log space: nothing is clipped.

    Args:
        teacher_logits: (batch, classes).
        student_logits: (batch, classes).
        temperature: T > 0.

    Returns:
        (batch,) tensor, zero where the two softmaxes agree.

    Raises:
        ValueError: `temperature` is not positive.
    """
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    log_p = ops.log_softmax(ops.cast(teacher_logits, "float32") / temperature)
    log_q = ops.log_softmax(ops.cast(student_logits, "float32") / temperature)
    return temperature**2 * ops.sum(ops.exp(log_p) * (log_p - log_q), axis=-1)


@keras.saving.register_keras_serializable("limbeck")
class SoftTargets(keras.losses.Loss):
    """Hinton's soft targets (section 2) as a part of a `Distiller`.

    Args:
        temperature: T > 0 of both softmaxes.
        weight: factor of this part in the total loss, at least 0.
        name: name of this part in logs and history.

    Raises:
        ValueError: `temperature` is not positive, or `weight` is negative.
    """

    def __init__(
        self,
        temperature: float = 4.0,
        weight: float = 1.0,
        name: str = "soft_targets",
        reduction: str = "sum_over_batch_size",
    ):
        if temperature <= 0:
            raise ValueError(f"temperature must be positive, got {temperature}")
        if weight < 0:
            raise ValueError(f"weight must not be negative, got {weight}")
        super().__init__(name=name, reduction=reduction)
        self.temperature = temperature
        self.weight = weight

    def call(self, y_true, y_pred):
        """`y_true` are the teacher's logits, `y_pred` the student's."""
        return soft_target_loss(y_true, y_pred, temperature=self.temperature)

    def get_config(self):
        return {
            "temperature": self.temperature,
            "weight": self.weight,
            "name": self.name,
            "reduction": self.reduction,
        }
