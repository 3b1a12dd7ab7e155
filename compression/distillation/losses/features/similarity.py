"""Similarity-preserving: examples alike for the teacher are alike for the student.

Tung & Mori, "Similarity-Preserving Knowledge Distillation" (ICCV 2019),
https://arxiv.org/abs/1907.09682
"""

import keras
from keras import ops

from compression.distillation.losses.feature_loss import FeatureLoss
from compression.distillation.losses.geometry import flat, unit_length


def similarities(features):
    """Scalar products of an example with all, each row at unit length (equation 2).

    Args:
        features: (batch, ...).

    Returns:
        (batch, batch) float32.
    """
    vectors = flat(features)
    return unit_length(ops.matmul(vectors, ops.transpose(vectors)))


def similarity_loss(teacher, student):
    """Mean squared difference of an example's similarities, per example.

    The mean over the batch is the paper's, equation 4: the squared Frobenius norm
    over batch^2.

    Args:
        teacher: (batch, ...).
        student: (batch, ...), of any size.

    Returns:
        (batch,) float32.
    """
    difference = similarities(teacher) - similarities(student)
    return ops.mean(ops.square(difference), axis=-1)


@keras.saving.register_keras_serializable("limbeck")
class SimilarityPreserving(FeatureLoss):
    """`similarity_loss` of each pair of layers, summed, as a part of a `Distiller`.

    The paper's weight is 3000, its layers the last convolutions.
    """

    match_sizes = False

    def __init__(self, teacher, student, weight=1.0, name="similarity_preserving"):
        super().__init__(teacher, student, weight, name)

    def values(self, teacher, student, batch):
        return sum(
            similarity_loss(*pair) for pair in zip(teacher, student, strict=True)
        )
