"""OFD: pre-activations compared with a margin ReLU and a partial L2 distance.

Heo, Kim, Yun, Park, Kwak, Choi, "A Comprehensive Overhaul of Feature Distillation"
(ICCV 2019), https://arxiv.org/abs/1904.01866
"""

import keras
from keras import ops

from compression.distillation.losses.feature_loss import FeatureLoss
from compression.distillation.losses.features.regressor import Regressor

MEMORY = 0.99  # share of the negative responses so far, when a batch adds its own


def partial_loss(teacher, student, *, margin):
    """Mean squared difference, except where both are off and the student further.

    The teacher's feature is max(t, margin) (section 3.1); the difference counts as 0
    where student <= teacher <= 0 (section 3.3). The mean over the entries
    where the paper sums.

    Args:
        teacher: (batch, ..., channels) before the activation.
        student: of the same shape.
        margin: (channels,), not positive.

    Returns:
        (batch,) float32.
    """
    teacher, student = (ops.cast(f, "float32") for f in (teacher, student))
    teacher = ops.maximum(teacher, margin)
    off = (student <= teacher) & (teacher <= 0)
    entries = ops.where(off, 0.0, ops.square(teacher - student))
    return ops.mean(entries, axis=tuple(range(1, teacher.ndim)))


@keras.saving.register_keras_serializable("limbeck")
class OverhaulFeatures(FeatureLoss):
    """`partial_loss` of each pair of layers, summed, as a part of a `Distiller`.

    Name activations: what they are given is compared. The student's feature always
    goes through a 1x1 convolution with batch normalisation, as in the paper. The margin
    of a channel is the mean of its negative responses; the paper computes it from the
    teacher's batch normalisation, assuming normal responses, here it is measured on
    the teacher's features during training (a moving mean; at first the batch's own).
    """

    before_activation = True

    def __init__(self, teacher, student, weight=1.0, name="overhaul_features"):
        super().__init__(teacher, student, weight, name)

    def prepare(self, teacher_shapes, student_shapes):
        self.regressors, self.negatives = [], []
        for wanted, shape in zip(teacher_shapes, student_shapes, strict=True):
            self.regressors.append(Regressor(shape, wanted[-1]))
            self.negatives.append(
                self.add_weight(
                    name=f"negatives_{len(self.negatives) + 1}",
                    shape=(2, wanted[-1]),  # sums and counts
                    initializer="zeros",
                    trainable=False,
                )
            )

    def values(self, teacher, student, batch):
        total = 0.0
        for feature, own, regress, negatives in zip(
            teacher, student, self.regressors, self.negatives, strict=True
        ):
            if batch.training:
                negatives.assign(MEMORY * negatives + negative_responses(feature))
            sums, counts = ops.unstack(ops.convert_to_tensor(negatives), 2)
            margin = ops.where(counts > 0, sums / ops.maximum(counts, 1e-30), 0.0)
            own = regress(own, training=batch.training)
            total += partial_loss(feature, own, margin=margin)
        return total


def negative_responses(feature):
    """(2, channels): sum and number of each channel's entries below zero."""
    feature = ops.cast(feature, "float32")
    axes = tuple(range(feature.ndim - 1))
    number = ops.sum(ops.cast(feature < 0, "float32"), axis=axes)
    return ops.stack([ops.sum(ops.minimum(feature, 0.0), axis=axes), number])
