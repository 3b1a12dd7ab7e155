"""Probabilistic transfer: how probably each example is another's neighbour.

Passalis & Tefas, "Learning Deep Representations with Probabilistic Knowledge Transfer"
(ECCV 2018), https://arxiv.org/abs/1803.10837
"""

import keras
from keras import ops

from compression.distillation.losses.feature_loss import FeatureLoss
from compression.distillation.losses.geometry import cosines, flat, others

LEAST_KERNEL = 1e-7  # of opposite vectors, where the logarithm would not end


def neighbour_log_probabilities(features):
    """Log of the cosine kernel over its sum along the row, without the diagonal.

    Section 3: K(a, b) = (cos + 1) / 2.

    Args:
        features: (batch, ...).

    Returns:
        (batch, batch) float32: in row i, column j the log probability of j as a
        neighbour of i; the diagonal has no meaning.
    """
    kernel = ops.maximum((cosines(flat(features)) + 1) / 2, LEAST_KERNEL)
    rest = others(ops.shape(kernel)[0])
    total = ops.sum(kernel * rest, axis=-1, keepdims=True)
    return ops.log(kernel) - ops.log(ops.maximum(total, LEAST_KERNEL))


def probabilistic_transfer_loss(teacher, student):
    """KL of the teacher's and the student's neighbour probabilities, per example.

    The paper sums over the examples what is averaged here.

    Args:
        teacher: (batch, ...).
        student: (batch, ...), of any size.

    Returns:
        (batch,) float32, in nats; 0 for a batch of less than three.
    """
    log_p = neighbour_log_probabilities(teacher)
    log_q = neighbour_log_probabilities(student)
    rest = others(ops.shape(log_p)[0])
    return ops.sum(rest * ops.exp(log_p) * (log_p - log_q), axis=-1)


@keras.saving.register_keras_serializable("limbeck")
class ProbabilisticTransfer(FeatureLoss):
    """`probabilistic_transfer_loss` of each pair, summed, as part of a `Distiller`."""

    match_sizes = False

    def __init__(self, teacher, student, weight=1.0, name="probabilistic_transfer"):
        super().__init__(teacher, student, weight, name)

    def values(self, teacher, student, batch):
        return sum(
            probabilistic_transfer_loss(*pair)
            for pair in zip(teacher, student, strict=True)
        )
