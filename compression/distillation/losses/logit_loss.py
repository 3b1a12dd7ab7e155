"""What all losses between logits have in common."""

import keras
from keras import ops

from compression.arguments import require_number
from compression.distillation.losses.base import DistillationLoss
from compression.distillation.losses.batch import Batch, Schedule, shapes_of

LOGITS = "logits"  # what the output of a net is called, whatever its layer's name is


class LogitLoss(DistillationLoss):
    """Base of the losses between the outputs of teacher and student.

    A subclass gives `values`.

    Args:
        weight: factor in the total loss, at least 0; or a schedule of the step.
        name: name of this part in logs and history.

    Attributes:
        fewest_logits: that it can compare; 2 where one logit for two classes has no
            meaning for it.

    Raises:
        ValueError: `weight` is negative; or (when built) the net has too few logits.
    """

    fewest_logits = 1

    def __init__(self, weight: float | Schedule = 1.0, name: str | None = None):
        super().__init__([LOGITS], [LOGITS], weight, name)

    @property
    def needs_teacher_shapes(self):
        return False  # the student has as many classes

    def tap(self, layer):
        return None  # the output, whatever its layer is called

    def build(self, teacher_shape, student_shape):
        [shape] = shapes_of(student_shape)
        if shape[-1] < self.fewest_logits:
            raise ValueError(
                f"{self.name} compares classes, so it needs a net of at least "
                f"{self.fewest_logits} logits, got {shape[-1]}: build the net with two "
                "classes, or take SoftTargets"
            )
        super().build(teacher_shape, student_shape)

    def per_example(self, teacher, student, batch):
        [teacher_logits], [student_logits] = teacher, student
        return self.values(teacher_logits, student_logits, batch)

    def values(self, teacher_logits, student_logits, batch: Batch):
        """The loss of each example.

        Args:
            teacher_logits: (batch, classes).
            student_logits: (batch, classes).
            batch: what else is known.

        Returns:
            (batch,) float32.
        """
        raise NotImplementedError


def require_temperature(temperature: float | Schedule) -> float | Schedule:
    """`temperature` itself; the values of a schedule or tensor are not checked.

    Raises:
        ValueError: it is a number that is not positive, or none of these.
    """
    if isinstance(temperature, Schedule | keras.KerasTensor) or ops.is_tensor(
        temperature
    ):
        return temperature
    require_number("temperature", temperature, kind="a number or a schedule")
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    return temperature
