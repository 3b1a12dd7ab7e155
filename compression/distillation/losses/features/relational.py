"""Relational distillation: distances and angles between a batch's examples.

Park et al., "Relational Knowledge Distillation" (CVPR 2019),
https://arxiv.org/abs/1904.05068

The paper sums over pairs and triplets of different examples. Here their mean is
taken, so that a weight does not depend on the batch's size; the authors' code does so
too, but counts pairs of an example with itself, which add nothing, as well.
"""

import keras
from keras import ops

from compression.distillation.losses.feature_loss import FeatureLoss
from compression.distillation.losses.geometry import (
    differences,
    flat,
    lengths,
    others,
    unit_length,
)


def huber(difference):
    """d^2 / 2 up to |d| = 1, |d| - 1/2 beyond (section 3.2.1)."""
    size = ops.abs(difference)
    return ops.where(size <= 1, ops.square(difference) / 2, size - 0.5)


def distances(features):
    """Distances between examples over the mean of those between different ones.

    Section 3.2.1. The gradient is zero at equal examples.

    Args:
        features: (batch, ...).

    Returns:
        (batch, batch) float32. Takes memory for batch^2 vectors on its way.
    """
    between = lengths(differences(flat(features)))
    pairs = ops.sum(others(ops.shape(between)[0]))
    mean = ops.sum(between) / ops.maximum(pairs, 1.0)
    return between / ops.where(mean > 0, mean, 1.0)


def distance_loss(teacher, student):
    """Huber's loss of an example's distances to the others, mean, per example.

    Args:
        teacher: (batch, ...).
        student: (batch, ...), of any size.

    Returns:
        (batch,) float32; 0 for a batch of one.
    """
    loss = huber(distances(teacher) - distances(student))
    rest = ops.cast(ops.shape(loss)[0] - 1, "float32")
    return ops.sum(loss, axis=-1) / ops.maximum(rest, 1.0)


def angles(features):
    """Cosines of the angles at each example between each two (section 3.2.2).

    Args:
        features: (batch, ...).

    Returns:
        (batch, batch, batch) float32: vertex, one, other. 0 where one of both equals
        the vertex.
    """
    sides = unit_length(differences(flat(features)))
    return ops.matmul(sides, ops.transpose(sides, (0, 2, 1)))


def angle_loss(teacher, student):
    """Huber's loss of the angles' cosines at an example, mean, per example.

    Args:
        teacher: (batch, ...).
        student: (batch, ...), of any size.

    Returns:
        (batch,) float32; 0 for a batch of less than three.
    """
    loss = huber(angles(teacher) - angles(student))
    size = ops.shape(loss)[0]
    rest = ops.cast(size - 1, "float32")
    triplets = ops.maximum(rest * (rest - 1), 1.0)
    return ops.sum(loss * others(size), axis=(1, 2)) / triplets


@keras.saving.register_keras_serializable("limbeck")
class RelationalDistance(FeatureLoss):
    """`distance_loss` of each pair of layers, summed, as a part of a `Distiller`.

    Meant for embeddings: it holds batch^2 differences of vectors. The paper's weight is
    25, with the labels' loss.
    """

    match_sizes = False

    def __init__(self, teacher, student, weight=1.0, name="relational_distance"):
        super().__init__(teacher, student, weight, name)

    def values(self, teacher, student, batch):
        return sum(distance_loss(*pair) for pair in zip(teacher, student, strict=True))


@keras.saving.register_keras_serializable("limbeck")
class RelationalAngle(FeatureLoss):
    """`angle_loss` of each pair of layers, summed, as a part of a `Distiller`.

    Meant for embeddings and small batches: it holds batch^2 differences of vectors
    and several times batch^3 numbers: 4 * 128^3 bytes are 8 MiB, 4 * 512^3 are
    512 MiB. The paper's weight is 50, with the labels' loss.
    """

    match_sizes = False

    def __init__(self, teacher, student, weight=1.0, name="relational_angle"):
        super().__init__(teacher, student, weight, name)

    def values(self, teacher, student, batch):
        return sum(angle_loss(*pair) for pair in zip(teacher, student, strict=True))
