"""Knowledge review: a stage of the teacher also guides the student's deeper stages.

Chen, Liu, Zhao, Jia, "Distilling Knowledge via Knowledge Review" (CVPR 2021),
https://arxiv.org/abs/2104.09044
"""

from collections.abc import Sequence

import keras
from keras import ops

from compression.arguments import require_number
from compression.distillation.arguments import require_flag
from compression.distillation.losses.feature_loss import FeatureLoss
from compression.distillation.losses.features.regressor import batch_norm
from compression.distillation.losses.pooling import average_to
from compression.distillation.losses.resizing import nearest_to

CHANNELS_LAST = "channels_last"  # whatever Keras is set to
PYRAMID = (4, 2, 1)  # sizes that the context loss pools to, after the full one
MOST_CHANNELS = 512  # of a fusion, in the authors' release


def context_loss(teacher, student):
    """Hierarchical context loss: mean squared difference at falling sizes.

    The full size counts 1, the sizes 4, 2 and 1 half as much each time; those not
    below the map's own size are left out. The mean over the levels, weighted so.

    Args:
        teacher: (batch, height, width, channels).
        student: of the same shape.

    Returns:
        (batch,) float32.
    """
    teacher, student = (ops.cast(f, "float32") for f in (teacher, student))
    difference = teacher - student  # pooling is linear: one map instead of two
    total, factor, factors = _mean_square(difference), 1.0, 1.0
    for size in PYRAMID:
        if size < min(difference.shape[1:3]):
            factor /= 2
            factors += factor
            total += factor * _mean_square(average_to(difference, (size, size)))
    return total / factors


class AttentionFusion(keras.layers.Layer):
    """A stage's map joined with what comes from deeper (ABF, section 3.3).

    Returns the fused map for the next shallower stage, (batch, height, width,
    channels), and the map to compare, of the wanted shape.
    """

    def __init__(self, channels: int, wanted: Sequence[int], deepest: bool):
        super().__init__(dtype="float32")
        self.wanted_size = tuple(wanted[1:3])
        self.reduce = _convolution(channels, 1)
        self.attend = keras.layers.Conv2D(
            2, 1, activation="sigmoid", data_format=CHANNELS_LAST, dtype="float32"
        )
        self.expand = _convolution(wanted[-1], 3)
        self.norms = [batch_norm() for _ in range(2)]
        self.channels, self.deepest = channels, deepest

    def build(self, own_shape):
        fused_shape = (*own_shape[:-1], self.channels)
        self.reduce.build(own_shape)
        self.norms[0].build(fused_shape)
        if not self.deepest:
            self.attend.build((*own_shape[:-1], 2 * self.channels))
        self.expand.build(fused_shape)
        self.norms[1].build((*own_shape[:-1], self.expand.filters))
        self.built = True

    def call(self, own, deeper=None, training=None):
        fused = self.norms[0](self.reduce(own), training=training)
        if not self.deepest:
            deeper = nearest_to(deeper, fused.shape[1:3])
            share = self.attend(ops.concatenate([fused, deeper], axis=-1))
            fused = fused * share[..., :1] + deeper * share[..., 1:]
        compared = self.expand(nearest_to(fused, self.wanted_size))
        return fused, self.norms[1](compared, training=training)


@keras.saving.register_keras_serializable("limbeck")
class KnowledgeReview(FeatureLoss):
    """`context_loss` of stages fused from deep to shallow, as a part of a `Distiller`.

    A fusion's output takes the size of the teacher's map as it is given, by its
    nearest neighbours. A vector, such as "embedding" as the last of the layers (the
    authors' choice on CIFAR), is a map of size 1.

    Args:
        teacher: layers from shallow to deep.
        student: as many.
        average_teacher: whether teacher maps that are larger than the student's are
            averaged to its size, which makes them cheap to keep.
        channels: of all fusions; None for those of the student's deepest layer, 512
            at most (the authors' choice). Few make a small student's step cheap.

    Raises:
        ValueError: `channels` is not positive, a map is larger than the one before, or
            a feature is neither a map nor a vector.
    """

    match_sizes = False

    def __init__(
        self,
        teacher,
        student,
        weight=1.0,
        channels: int | None = None,
        average_teacher: bool = False,
        name="knowledge_review",
    ):
        super().__init__(teacher, student, weight, name)
        require_flag("average_teacher", average_teacher)
        self.match_sizes = average_teacher
        if channels is not None:
            require_number("channels", channels, whole=True)
            if channels <= 0:
                raise ValueError(f"channels must be positive, got {channels}")
        self.channels = channels

    def prepare(self, teacher_shapes, student_shapes):
        for shape in (*teacher_shapes, *student_shapes):
            if len(shape) not in (2, 4):
                raise ValueError(
                    f"{self.name} compares maps, (batch, height, width, channels), and "
                    f"vectors, got a feature of shape {tuple(shape)}"
                )
        teacher_shapes = [_map_shape(shape) for shape in teacher_shapes]
        student_shapes = [_map_shape(shape) for shape in student_shapes]
        heights = [shape[1] for shape in student_shapes]
        if heights != sorted(heights, reverse=True):
            raise ValueError(
                f"{self.name} needs the student's layers from shallow to deep, got "
                f"maps of heights {heights}"
            )
        channels = self.channels or min(MOST_CHANNELS, student_shapes[-1][-1])
        last = len(student_shapes) - 1
        self.fusions = [
            AttentionFusion(channels, wanted, deepest=i == last)
            for i, wanted in enumerate(teacher_shapes)
        ]
        for fusion, shape in zip(self.fusions, student_shapes, strict=True):
            fusion.build(shape)

    def values(self, teacher, student, batch):
        stages = list(zip(teacher, student, self.fusions, strict=True))
        total, fused = 0.0, None
        for feature, own, fusion in reversed(stages):
            fused, compared = fusion(_as_map(own), fused, training=batch.training)
            total += context_loss(_as_map(feature), compared)
        return total

    def get_config(self):
        return super().get_config() | {
            "channels": self.channels,
            "average_teacher": self.match_sizes,
        }


def _convolution(channels, size):
    return keras.layers.Conv2D(
        channels,
        size,
        padding="same",
        use_bias=False,
        data_format=CHANNELS_LAST,
        kernel_initializer="lecun_uniform",
        dtype="float32",
    )


def _mean_square(maps):
    return ops.mean(ops.square(maps), axis=(1, 2, 3))


def _map_shape(shape):
    return tuple(shape) if len(shape) == 4 else (shape[0], 1, 1, shape[-1])


def _as_map(feature):
    return feature if feature.ndim == 4 else feature[:, None, None, :]
