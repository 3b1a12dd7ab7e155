"""What all losses between inner features have in common."""

from collections.abc import Sequence
from itertools import zip_longest

import keras
from keras import ops

from compression.distillation.losses.batch import (
    Batch,
    Schedule,
    deserialized,
    require_weight,
    serialized,
)
from compression.distillation.losses.pooling import AverageTo


class FeatureLoss(keras.layers.Layer):
    """Base of the losses that compare features inside teacher and student.

    A layer, so that what it learns (projectors) is trained, saved and resumed with
    the distiller, and thrown away with it. Computes in float32 under every policy.

    A subclass gives `values`, and `prepare` where it has weights of its own.

    Args:
        teacher: layer of the teacher, or several: names as `tap` takes them; none
            where the student learns from itself.
        student: as many layers of the student, each beside its teacher's.
        weight: factor in the total loss, at least 0; or a schedule of the step.
        name: name of this part in logs and history.

    Raises:
        ValueError: the numbers of layers differ, or `weight` is negative.
    """

    match_sizes = True  # maps of unequal size: the larger is averaged to the smaller
    before_activation = False  # whether it listens before the named activation

    def __init__(
        self,
        teacher: str | Sequence[str],
        student: str | Sequence[str],
        weight: float | Schedule = 1.0,
        name: str | None = None,
    ):
        super().__init__(name=name, dtype="float32")
        self.teacher_layers = _names(teacher)
        self.student_layers = _names(student)
        self.weight = require_weight(weight)
        alone = not self.teacher_layers  # a student that listens to itself
        if not alone and len(self.teacher_layers) != len(self.student_layers):
            raise ValueError(
                f"{self.name} needs as many student layers as teacher layers, got "
                f"{list(self.student_layers)} for {list(self.teacher_layers)}"
            )

    def build(self, teacher_shape, student_shape):
        """Makes what is needed for features of these shapes.

        Raises:
            ValueError: the features cannot be joined.
        """
        pairs = list(zip_longest(teacher_shape, student_shape))
        sizes = [self._common_size(*shapes) if shapes[0] else None for shapes in pairs]
        self.teacher_poolings = [
            _pooling(shape, size)
            for shape, size in zip(teacher_shape, sizes, strict=False)
        ]
        self.student_poolings = list(map(_pooling, student_shape, sizes))
        self.prepare(
            [_resized(*each) for each in zip(teacher_shape, sizes, strict=False)],
            list(map(_resized, student_shape, sizes)),
        )
        self.built = True

    def call(self, teacher, student, batch: Batch | None = None, training=None):
        """The loss of each example.

        Args:
            teacher: list of features, (batch, height, width, channels) or
                (batch, units) each; no gradient flows into them.
            student: list of features, as many.
            batch: what else is known.
            training: whether this is a training step.

        Returns:
            (batch,) float32.
        """
        teacher = [ops.stop_gradient(feature) for feature in teacher]
        teacher = _pooled(teacher, self.teacher_poolings)
        student = _pooled(student, self.student_poolings)
        return self.values(teacher, student, batch or Batch(), training)

    def prepare(self, teacher_shapes: list[tuple], student_shapes: list[tuple]) -> None:
        """Make the weights; maps have equal sizes here if `match_sizes`."""

    def values(self, teacher: list, student: list, batch: Batch, training):
        """(batch,) float32; the mean over the batch is the paper's loss."""
        raise NotImplementedError

    def _common_size(self, teacher_shape, student_shape):
        if not self.match_sizes:
            return None
        if len(teacher_shape) != len(student_shape):
            raise ValueError(
                f"{self.name} cannot join features of shapes {tuple(teacher_shape)} "
                f"(teacher) and {tuple(student_shape)} (student): name two maps or "
                "two vectors"
            )
        return smaller_size(teacher_shape, student_shape)

    def get_config(self):
        return {
            "teacher": list(self.teacher_layers),
            "student": list(self.student_layers),
            "weight": serialized(self.weight),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**config | {"weight": deserialized(config["weight"])})


def smaller_size(one: Sequence[int], other: Sequence[int]) -> tuple[int, int] | None:
    """The common (height, width) of two map shapes; None for vectors.

    Raises:
        ValueError: a map has no fixed size.
    """
    if len(one) != 4 or len(other) != 4:
        return None
    sizes = tuple(zip(one[1:3], other[1:3], strict=True))
    if None in sizes[0] + sizes[1]:
        raise ValueError(
            f"feature maps need fixed sizes to be compared, got {tuple(one)} and "
            f"{tuple(other)}: build the nets with a fixed input shape"
        )
    return min(sizes[0]), min(sizes[1])


def require_maps(name: str, shapes: Sequence[tuple]) -> None:
    """Check that all features of the loss `name` are (batch, height, width, channels).

    Raises:
        ValueError: one is not.
    """
    for shape in shapes:
        if len(shape) != 4:
            raise ValueError(
                f"{name} compares places, so it needs feature maps, got features of "
                f"shape {tuple(shape)}: name a layer before the pooling"
            )


def projector(shape: Sequence[int], channels: int, *, bias: bool = False):
    """A new linear map of features of `shape` to `channels`, one for all places.

    1x1 convolution of a map, dense layer of a vector. Not built.
    """
    if len(shape) == 4:
        return keras.layers.Conv2D(channels, 1, use_bias=bias, dtype="float32")
    return keras.layers.Dense(channels, use_bias=bias, dtype="float32")


def projectors_by_need(
    teacher_shapes: Sequence[tuple], student_shapes: Sequence[tuple]
) -> list:
    """A built `projector` for each pair whose channels differ, else None."""
    made = []
    for wanted, shape in zip(teacher_shapes, student_shapes, strict=True):
        needed = shape[-1] != wanted[-1]
        made.append(projector(shape, wanted[-1]) if needed else None)
        if needed:
            made[-1].build(shape)
    return made


def _pooling(shape, size):
    if size is None or size == tuple(shape[1:3]):
        return None
    return AverageTo(size)


def _pooled(features, poolings):
    return [
        pooling(feature) if pooling else feature
        for feature, pooling in zip(features, poolings, strict=True)
    ]


def _resized(shape, size):
    return tuple(shape) if size is None else (shape[0], *size, shape[3])


def _names(layers):
    return (layers,) if isinstance(layers, str) else tuple(layers)
