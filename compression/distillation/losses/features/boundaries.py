"""AB: the student's neurons are on where the teacher's are, and off where they are off.

Heo, Lee, Yun, Choi, "Knowledge Transfer via Distillation of Activation Boundaries
Formed by Hidden Neurons" (AAAI 2019), https://arxiv.org/abs/1811.03233
"""

import keras
from keras import ops

from compression.arguments import require_number
from compression.distillation.losses.feature_loss import (
    FeatureLoss,
    where_channels_differ,
)
from compression.distillation.losses.features.regressor import Regressor


def boundary_loss(teacher, student, *, margin: float):
    """Squared hinge of the student's pre-activations, signs being the teacher's.

    The mean over the feature's entries of max(0, margin - sign * s)^2, sign being 1
    where the teacher's pre-activation is positive and -1 elsewhere: equation 5 (the
    paper sums). Only the teacher's signs count.

    Args:
        teacher: (batch, ...) before the activation.
        student: of the same shape.
        margin: by which the student has to be on the right side, > 0.

    Returns:
        (batch,) float32.
    """
    student = ops.cast(student, "float32")
    sign = ops.where(teacher > 0, 1.0, -1.0)
    hinge = ops.square(ops.relu(margin - sign * student))
    return ops.mean(hinge, axis=tuple(range(1, hinge.ndim)))


@keras.saving.register_keras_serializable("limbeck")
class ActivationBoundaries(FeatureLoss):
    """`boundary_loss` of each pair of layers, summed, as a part of a `Distiller`.

    Name activations: what they are given is compared. Where the channels differ, the
    student's feature goes through a 1x1 convolution with batch normalisation. The paper
    uses this loss alone, before the training on labels.

    Args:
        margin: by which the student has to be on the right side, > 0.

    Raises:
        ValueError: `margin` is not positive.
    """

    before_activation = True

    def __init__(
        self,
        teacher,
        student,
        weight=1.0,
        margin: float = 1.0,
        name="activation_boundaries",
    ):
        super().__init__(teacher, student, weight, name)
        require_number("margin", margin)
        if margin <= 0:
            raise ValueError(f"margin must be positive, got {margin}")
        self.margin = margin

    def prepare(self, teacher_shapes, student_shapes):
        self.regressors = where_channels_differ(
            Regressor, teacher_shapes, student_shapes
        )

    def values(self, teacher, student, batch):
        total = 0.0
        for feature, own, regress in zip(
            teacher, student, self.regressors, strict=True
        ):
            own = regress(own, training=batch.training)
            total += boundary_loss(feature, own, margin=self.margin)
        return total

    def get_config(self):
        return super().get_config() | {"margin": self.margin}
