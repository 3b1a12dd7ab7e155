"""KD-SVD: how the main directions of the channels change from layer to layer.

Lee, Kim, Song, "Self-supervised Knowledge Distillation Using Singular Value
Decomposition" (ECCV 2018), https://arxiv.org/abs/1807.06819
"""

import keras
from keras import ops

from compression.arguments import require_number
from compression.distillation.losses.feature_loss import (
    FeatureLoss,
    projector,
    require_maps,
    where_channels_differ,
)

BANDWIDTH = 8.0  # of the radial basis function, in the authors' release
SPARE = 3  # more candidates of the student than vectors of the teacher, likewise
LEAST_GAP = 1e-3  # of two eigenvalues, as a share of all: below, gradients fade
LEAST_SQUARE = 1e-12  # of a whole map, which may be zero


def right_vectors(maps, count: int):
    """Truncated SVD of each map as a matrix of positions x channels.

    The right singular vectors are the eigenvectors of the channels' Gram matrix,
    which is small. Their derivative, sum_j v_j (v_j' dG v_i) / (l_i - l_j), has no
    bound where eigenvalues meet: 1 / gap becomes gap / (gap^2 + 1e-6), of a Gram
    matrix of trace 1, so that vectors with equal eigenvalues pass no gradient
    between them, and a map of zeros none at all. It is attached as a first-order term
    of value zero: no backend differentiates a decomposition.

    Args:
        maps: (batch, height, width, channels).
        count: number of vectors, at most the channels.

    Returns:
        The `count` largest singular values at unit length, (batch, count), without
        gradient; their vectors, (batch, channels, count), each of either sign.
    """
    maps = ops.cast(maps, "float32")
    rows = ops.reshape(maps, (ops.shape(maps)[0], -1, maps.shape[3]))
    square = ops.sum(ops.square(rows), axis=(1, 2))[:, None, None]
    gram = ops.einsum("bpi,bpj->bij", rows, rows) / (square + LEAST_SQUARE)
    constant = ops.stop_gradient(gram)
    values, vectors = ops.eigh(constant)
    values, vectors = ops.flip(values, -1), ops.flip(vectors, -1)
    largest, leading = values[:, :count], vectors[:, :, :count]
    gap = largest[:, None, :] - values[:, :, None]
    inverse = gap / (ops.square(gap) + LEAST_GAP**2)
    change = ops.einsum("bij,bjk->bik", gram - constant, leading)
    turn = inverse * ops.einsum("bji,bjk->bik", vectors, change)
    leading = leading + ops.matmul(vectors, turn)
    return ops.normalize(ops.sqrt(ops.maximum(largest, 0.0))), leading


def aligned(student, teacher):
    """The student's vector nearest to each of the teacher's, turned to its side.

    Args:
        student: (batch, channels, candidates) unit vectors.
        teacher: (batch, channels, count) unit vectors.

    Returns:
        (batch, channels, count), columns of `student` or their opposites.
    """
    cosine = ops.einsum("bci,bcj->bij", ops.stop_gradient(student), teacher)
    best = ops.argmax(ops.abs(cosine), axis=1)
    chosen = ops.one_hot(best, cosine.shape[1], axis=1, dtype="float32")
    return ops.matmul(student, ops.where(cosine < 0, -chosen, chosen))


def relation_loss(teacher, student):
    """Squared difference of two layers' relations, summed, per example.

    The relation is exp(-(a_i - b_j)^2 / 8) of all entries of the layers' vectors.

    Args:
        teacher: two layers' vectors, (batch, channels, count) each.
        student: the same.

    Returns:
        (batch,) float32.
    """
    difference = _relation(*teacher) - _relation(*student)
    return ops.sum(ops.square(difference), axis=(1, 2, 3))


@keras.saving.register_keras_serializable("limbeck")
class SingularVectors(FeatureLoss):
    """`relation_loss` between each layer and the next one named, summed.

    Both sides' vectors are weighted with the teacher's singular values. A teacher's
    vector takes the sign that makes its entries sum to zero or more, since a
    decomposition leaves it open and the loss depends on it. Where the channels differ,
    the student's map goes through a projector (1x1 convolution).

    Args:
        vectors: number of singular vectors, at most the teacher's channels.

    Raises:
        ValueError: there are fewer than two layers, one gives no map, or `vectors`
            is out of its range.
    """

    match_sizes = False  # the vectors have no positions

    def __init__(
        self, teacher, student, weight=1.0, vectors: int = 1, name="singular_vectors"
    ):
        super().__init__(teacher, student, weight, name)
        if len(self.teacher_layers) < 2:
            raise ValueError(
                f"{name} goes from layer to layer: name at least two, got "
                f"{list(self.teacher_layers)}"
            )
        require_number("vectors", vectors, whole=True)
        if vectors < 1:
            raise ValueError(f"vectors must be at least 1, got {vectors}")
        self.vectors = vectors

    def prepare(self, teacher_shapes, student_shapes):
        require_maps(self.name, [*teacher_shapes, *student_shapes])
        fewest = min(shape[-1] for shape in teacher_shapes)
        if self.vectors > fewest:
            raise ValueError(
                f"vectors must be at most {fewest}, the teacher's channels, got "
                f"{self.vectors}"
            )
        self.projectors = where_channels_differ(
            projector, teacher_shapes, student_shapes
        )

    def values(self, teacher, student, batch):
        pairs = [
            self._vectors(feature, project(own))
            for feature, own, project in zip(
                teacher, student, self.projectors, strict=True
            )
        ]
        wanted, own = zip(*pairs, strict=True)
        steps = zip(wanted, wanted[1:], own, own[1:], strict=False)
        return sum(relation_loss((a, b), (c, d)) for a, b, c, d in steps)

    def _vectors(self, feature, own):
        """Weighted vectors of the teacher's map, and the student's that match them."""
        strength, wanted = right_vectors(feature, self.vectors)
        wanted = ops.where(ops.sum(wanted, 1, keepdims=True) < 0, -wanted, wanted)
        _, candidates = right_vectors(own, min(self.vectors + SPARE, own.shape[-1]))
        nearest = aligned(candidates, wanted)
        return strength[:, None] * wanted, strength[:, None] * nearest

    def get_config(self):
        return super().get_config() | {"vectors": self.vectors}


def _relation(first, second):
    difference = first[:, :, None] - second[:, None]
    return ops.exp(-ops.square(difference) / BANDWIDTH)
