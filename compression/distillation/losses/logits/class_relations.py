"""DIST: the student's probabilities are to correlate with the teacher's, not to match.

Huang et al., "Knowledge Distillation from A Stronger Teacher" (NeurIPS 2022),
https://arxiv.org/abs/2205.10536
"""

import keras
from keras import ops

from compression.distillation.losses.batch import (
    Schedule,
    at_step,
    require_weight,
    serialized,
)
from compression.distillation.losses.geometry import deviations
from compression.distillation.losses.logit_loss import LogitLoss, require_temperature


def inter_class_loss(teacher, student):
    """1 - Pearson's correlation over the classes, per example.

    Args:
        teacher: (batch, classes) probabilities.
        student: (batch, classes) probabilities.

    Returns:
        (batch,) float32 in 0 to 2; 0 where the teacher's do not vary.
    """
    teacher, student = deviations(teacher), deviations(student)
    # The teacher's correlation with itself is 1, but 0 where it does not vary.
    return ops.sum(teacher * (teacher - student), axis=-1)


def intra_class_loss(teacher, student):
    """1 - Pearson's correlation over the batch, mean over the classes.

    Args:
        teacher: (batch, classes) probabilities.
        student: (batch, classes) probabilities.

    Returns:
        (batch,) float32 in 0 to 2: one value, the same for each example, since it
        belongs to the whole batch; 0 for a batch of one.
    """
    classes = inter_class_loss(ops.transpose(teacher), ops.transpose(student))
    return ops.broadcast_to(ops.mean(classes), (ops.shape(teacher)[0],))


def class_relation_loss(
    teacher_logits,
    student_logits,
    *,
    temperature: float,
    inter_weight: float,
    intra_weight: float,
):
    """T^2 times the weighted sum of both losses of the softened softmaxes, per example.

    The paper's loss without the label's part. The factor T^2 is that of the authors'
    code and of Hinton's loss.

    Args:
        teacher_logits: (batch, classes).
        student_logits: (batch, classes).
        temperature: T > 0.
        inter_weight: the paper's beta.
        intra_weight: the paper's gamma.

    Returns:
        (batch,) float32.

    Raises:
        ValueError: `temperature` is not positive.
    """
    require_temperature(temperature)
    teacher, student = (
        ops.softmax(ops.cast(logits, "float32") / temperature)
        for logits in (teacher_logits, student_logits)
    )
    return temperature**2 * (
        inter_weight * inter_class_loss(teacher, student)
        + intra_weight * intra_class_loss(teacher, student)
    )


@keras.saving.register_keras_serializable("limbeck")
class ClassRelations(LogitLoss):
    """`class_relation_loss` as a part of a `Distiller`.

    Sample weights count in the relations between the classes of an example, but not in
    the relations between the examples.

    Args:
        temperature: T > 0 of both softmaxes; or a schedule of the step. The paper has
            1 for ImageNet, 4 for CIFAR-100.
        inter_weight: of the relations between an example's classes, at least 0; or a
            schedule.
        intra_weight: of the relations between examples in each class, likewise.
        weight: factor of this part in the total loss, at least 0; or a schedule.
        name: name of this part in logs and history.

    Raises:
        ValueError: `temperature` is not positive, or a weight is negative.
    """

    fewest_logits = 2

    def __init__(
        self,
        temperature: float | Schedule = 4.0,
        inter_weight: float | Schedule = 2.0,
        intra_weight: float | Schedule = 2.0,
        weight: float | Schedule = 1.0,
        name: str = "class_relations",
    ):
        super().__init__(weight, name)
        self.temperature = require_temperature(temperature)
        self.inter_weight = require_weight(inter_weight, "inter_weight")
        self.intra_weight = require_weight(intra_weight, "intra_weight")

    def values(self, teacher_logits, student_logits, batch):
        return class_relation_loss(
            teacher_logits,
            student_logits,
            temperature=at_step(self.temperature, batch),
            inter_weight=at_step(self.inter_weight, batch),
            intra_weight=at_step(self.intra_weight, batch),
        )

    def get_config(self):
        return super().get_config() | {
            "temperature": serialized(self.temperature),
            "inter_weight": serialized(self.inter_weight),
            "intra_weight": serialized(self.intra_weight),
        }
