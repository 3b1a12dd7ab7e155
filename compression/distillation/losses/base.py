"""What every loss between a teacher and a student is: a value for each example."""

from collections.abc import Sequence

import keras

from compression.distillation.arguments import layer_names
from compression.distillation.losses.batch import (
    Batch,
    Schedule,
    deserialized,
    require_weight,
    serialized,
)
from compression.distillation.taps import Tap


class DistillationLoss(keras.layers.Layer):
    """Base of all losses: compares layers of the teacher with layers of the student.

    A layer, so that what a loss learns (projectors) is trained, saved and resumed with
    the distiller, and thrown away with it. Computes in float32 under every policy.

    A subclass gives `per_example`, and `build` where it has weights. Nearly all extend
    one of the two bases that do more: `LogitLoss` and `FeatureLoss`.

    Args:
        teacher_layers: names of the teacher's layers that are compared.
        student_layers: names of the student's.
        weight: factor in the total loss, at least 0; or a schedule of the step.
        name: name of this part in logs and history.

    Attributes:
        match_sizes: whether a teacher's map that is larger than the student's is
            averaged to its size.
        before_activation: whether it compares what the activation named is given.
        needs_classes: whether each image must be one of the train split's, of one
            class, and not a mixture of two.

    Raises:
        ValueError: `weight` is negative, or what should be names of layers is not.
    """

    match_sizes = False
    before_activation = False
    needs_classes = False

    def __init__(
        self,
        teacher_layers: Sequence[str],
        student_layers: Sequence[str],
        weight: float | Schedule = 1.0,
        name: str | None = None,
    ):
        super().__init__(name=name, dtype="float32")
        self.teacher_layers = layer_names("teacher_layers", teacher_layers)
        self.student_layers = layer_names("student_layers", student_layers)
        self.weight = require_weight(weight)

    @property
    def needs_teacher_shapes(self) -> bool:
        """Whether only a teacher can give the shapes that `build` gets."""
        return bool(self.teacher_layers)

    def tap(self, layer: str) -> Tap:
        """What is compared at `layer`, as `taps.tapped` takes it."""
        return layer, self.before_activation

    def tap_name(self, layer: str) -> str:
        """What the tensor of `tap` is called among a net's outputs."""
        return f"{layer}_before" if self.before_activation else layer

    def build(self, teacher_shape, student_shape):
        """Make the weights for features of these shapes, a list on each side."""
        self.built = True

    def per_example(self, teacher: list, student: list, batch: Batch):
        """The loss of each example, without `weight`.

        Args:
            teacher: what `teacher_layers` give, (batch, ...) each.
            student: what `student_layers` give.
            batch: what else is known.

        Returns:
            (batch,) float32; the mean over the batch is the paper's loss.
        """
        raise NotImplementedError

    def call(self, teacher, student, *, batch: Batch | None = None):
        """`per_example` for use without a `Distiller`; builds the loss at first.

        A side that has one layer may be given as one tensor instead of a list.
        """
        return self.per_example(_listed(teacher), _listed(student), batch or Batch())

    def get_config(self):
        return {"weight": serialized(self.weight), "name": self.name}

    @classmethod
    def from_config(cls, config):
        return cls(**{key: deserialized(value) for key, value in config.items()})


def _listed(features):
    return list(features) if isinstance(features, list | tuple) else [features]
