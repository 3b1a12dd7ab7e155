"""FitNets: the student's features, projected, regress the teacher's.

Romero et al., "FitNets: Hints for Thin Deep Nets" (ICLR 2015),
https://arxiv.org/abs/1412.6550
"""

import keras
from keras import ops

from compression.distillation.losses.feature_loss import FeatureLoss, projectors_by_need


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

    A projector (1x1 convolution or linear) stands where the channels differ. For the
    paper's two stages, train once with this part alone (`label_weight=0`) and then
    with the other losses; or let two schedules as weights change over.
    """

    def __init__(self, teacher, student, weight=1.0, name="hints"):
        super().__init__(teacher, student, weight, name)

    def prepare(self, teacher_shapes, student_shapes):
        self.projectors = projectors_by_need(teacher_shapes, student_shapes)

    def values(self, teacher, student, batch, training):
        total = 0.0
        pairs = zip(teacher, student, self.projectors, strict=True)
        for feature, own, project in pairs:
            total = total + hint_loss(feature, project(own) if project else own)
        return total
