"""FitNets: the student's features, projected, regress the teacher's.

Romero et al., "FitNets: Hints for Thin Deep Nets" (ICLR 2015),
https://arxiv.org/abs/1412.6550
"""

import keras
from keras import ops

from compression.distillation.losses.feature_loss import (
    FeatureLoss,
    projector,
    where_channels_differ,
)


def hint_loss(teacher, student):
    """Mean squared difference of two features, per example.

    Equation 3 has half the sum; the mean does not depend on the features' size.

    Args:
        teacher: (batch, ...).
        student: of the same shape.

    Returns:
        (batch,) float32.
    """
    teacher, student = (ops.cast(f, "float32") for f in (teacher, student))
    return ops.mean(ops.square(teacher - student), axis=tuple(range(1, teacher.ndim)))


@keras.saving.register_keras_serializable("limbeck")
class Hints(FeatureLoss):
    """`hint_loss` of each pair of layers, summed, as a part of a `Distiller`.

    Where the channels differ, the student's feature goes through a projector (1x1
    convolution or linear). For the paper's two stages, train once with this part alone
    (`label_weight=0`) and then with the other losses; or give both weights as schedules
    that switch from one to the other.
    """

    def __init__(self, teacher, student, weight=1.0, name="hints"):
        super().__init__(teacher, student, weight, name)

    def prepare(self, teacher_shapes, student_shapes):
        self.projectors = where_channels_differ(
            projector, teacher_shapes, student_shapes
        )

    def values(self, teacher, student, batch):
        return sum(
            hint_loss(feature, project(own))
            for feature, own, project in zip(
                teacher, student, self.projectors, strict=True
            )
        )
