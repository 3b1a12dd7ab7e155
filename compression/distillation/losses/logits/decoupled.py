"""Decoupled distillation: the label's class, and the other classes among themselves.

Zhao et al., "Decoupled Knowledge Distillation" (CVPR 2022),
https://arxiv.org/abs/2203.08679
"""

import keras
from keras import ops

from compression.distillation.arguments import require_classes
from compression.distillation.losses.batch import (
    Schedule,
    at_step,
    require_weight,
    serialized,
)
from compression.distillation.losses.logit_loss import LogitLoss, require_temperature
from compression.distillation.losses.logits.soft_targets import softened_divergence


def target_loss(teacher_logits, student_logits, labels, *, temperature: float):
    """T^2 TCKD: KL of two classes, the label's and all others (section 3.1).

    Args:
        teacher_logits: (batch, classes).
        student_logits: (batch, classes).
        labels: (batch,) integer classes.
        temperature: T > 0.

    Returns:
        (batch,) float32, in nats.

    Raises:
        ValueError: `temperature` is not positive.
    """
    teacher, student = (
        _label_against_rest(logits, labels, temperature)
        for logits in (teacher_logits, student_logits)
    )
    return softened_divergence(teacher, student, temperature=temperature)


def non_target_loss(teacher_logits, student_logits, labels, *, temperature: float):
    """T^2 NCKD: KL of the softmaxes over all classes but the label's (section 3.1).

    Where p is the teacher's probability of the label,
    `soft_target_loss = target_loss + (1 - p) * non_target_loss` (section 3.1).

    Args:
        teacher_logits: (batch, classes).
        student_logits: (batch, classes).
        labels: (batch,) integer classes.
        temperature: T > 0.

    Returns:
        (batch,) float32, in nats.

    Raises:
        ValueError: `temperature` is not positive.
    """
    return softened_divergence(
        _without_label(teacher_logits, labels),
        _without_label(student_logits, labels),
        temperature=temperature,
    )


def _without_label(logits, labels):
    """(batch, classes - 1): removed, not masked with a number to underflow."""
    logits = ops.cast(logits, "float32")
    label = ops.reshape(ops.cast(labels, "int32"), (-1, 1))
    column = ops.arange(logits.shape[-1] - 1, dtype="int32")[None, :]
    rest = column + ops.cast(column >= label, "int32")
    return ops.take_along_axis(logits, rest, axis=-1)


def _label_against_rest(logits, labels, temperature):
    """(batch, 2) logits whose softmax at T is that of the label and of the rest."""
    logits = ops.cast(logits, "float32")
    label = ops.reshape(ops.cast(labels, "int32"), (-1, 1))
    own = ops.take_along_axis(logits, label, axis=-1)
    rest = temperature * ops.logsumexp(
        _without_label(logits, labels) / temperature, axis=-1, keepdims=True
    )
    return ops.concatenate([own, rest], axis=-1)


@keras.saving.register_keras_serializable("limbeck")
class DecoupledSoftTargets(LogitLoss):
    """`target_loss` and `non_target_loss`, each with its weight, for a `Distiller`.

    Needs the batch's labels and at least two logits. The authors let the whole rise
    from 0 over the first epochs: `weight=PolynomialDecay(0.0, steps,
    end_learning_rate=1.0)`.

    Args:
        temperature: T > 0 of both softmaxes; or a schedule of the step.
        target_weight: the paper's alpha, at least 0; or a schedule.
        non_target_weight: the paper's beta, at least 0; or a schedule. The paper
            chooses it for each pair of nets, larger where the teacher is surer of the
            labels.
        weight: factor of this part in the total loss, at least 0; or a schedule.
        name: name of this part in logs and history.

    Raises:
        ValueError: `temperature` is not positive, or a weight is negative.
    """

    fewest_logits = 2

    needs_classes = True

    def __init__(
        self,
        temperature: float | Schedule = 4.0,
        target_weight: float | Schedule = 1.0,
        non_target_weight: float | Schedule = 8.0,
        weight: float | Schedule = 1.0,
        name: str = "decoupled_soft_targets",
    ):
        super().__init__(weight, name)
        self.temperature = require_temperature(temperature)
        self.target_weight = require_weight(target_weight, "target_weight")
        self.non_target_weight = require_weight(non_target_weight, "non_target_weight")

    def values(self, teacher_logits, student_logits, batch):
        require_classes(batch.labels, self.name)
        temperature = at_step(self.temperature, batch)
        target, rest = (
            loss(teacher_logits, student_logits, batch.labels, temperature=temperature)
            for loss in (target_loss, non_target_loss)
        )
        return (
            at_step(self.target_weight, batch) * target
            + at_step(self.non_target_weight, batch) * rest
        )

    def get_config(self):
        return super().get_config() | {
            "temperature": serialized(self.temperature),
            "target_weight": serialized(self.target_weight),
            "non_target_weight": serialized(self.non_target_weight),
        }
