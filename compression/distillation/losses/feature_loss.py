"""What all losses between inner features have in common."""

from collections.abc import Callable, Sequence
from itertools import zip_longest

import keras
from keras import ops

from compression.distillation.arguments import layer_names
from compression.distillation.losses.base import DistillationLoss
from compression.distillation.losses.batch import Batch, Schedule, shapes_of
from compression.distillation.losses.pooling import AverageTo


class FeatureLoss(DistillationLoss):
    """Base of the losses that compare features inside teacher and student.

    A subclass gives `values`, and `prepare` where it has weights of its own.

    Args:
        teacher: layer of the teacher, or several: names as `tap` takes them; none
            where the student learns from itself.
        student: as many layers of the student, in the order of the teacher's.
        weight: factor in the total loss, at least 0; or a schedule of the step.
        name: name of this part in logs and history.

    Raises:
        ValueError: the numbers of layers differ, or `weight` is negative.
    """

    match_sizes = True  # of two maps the larger is averaged to the smaller

    def __init__(
        self,
        teacher: str | Sequence[str],
        student: str | Sequence[str],
        weight: float | Schedule = 1.0,
        name: str | None = None,
    ):
        super().__init__(
            layer_names("teacher", teacher),
            layer_names("student", student),
            weight,
            name,
        )
        alone = not self.teacher_layers  # the student learns from itself
        if not alone and len(self.teacher_layers) != len(self.student_layers):
            raise ValueError(
                f"{self.name} needs as many student layers as teacher layers, got "
                f"{list(self.student_layers)} for {list(self.teacher_layers)}"
            )

    def build(self, teacher_shape, student_shape):
        """Make poolings and weights for features of these shapes.

        Raises:
            ValueError: two features cannot be compared.
        """
        teacher_shape, student_shape = map(shapes_of, (teacher_shape, student_shape))
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

    def per_example(self, teacher, student, batch):
        """As every loss; no gradient flows into the teacher's features."""
        teacher = [ops.stop_gradient(feature) for feature in teacher]
        teacher = _pooled(teacher, self.teacher_poolings)
        student = _pooled(student, self.student_poolings)
        return self.values(teacher, student, batch)

    def prepare(self, teacher_shapes: list[tuple], student_shapes: list[tuple]) -> None:
        """Make the weights; maps have equal sizes here if `match_sizes`."""

    def values(self, teacher: list, student: list, batch: Batch):
        """The loss of each example.

        Args:
            teacher: list of float32 features, (batch, height, width, channels) or
                (batch, units) each; of equal sizes to the student's if `match_sizes`.
            student: list of features, as many.
            batch: what else is known.

        Returns:
            (batch,) float32.
        """
        raise NotImplementedError

    def _common_size(self, teacher_shape, student_shape):
        if not self.match_sizes:
            return None
        if len(teacher_shape) != len(student_shape):
            raise ValueError(
                f"{self.name} cannot compare features of shapes {tuple(teacher_shape)} "
                f"(teacher) and {tuple(student_shape)} (student): name two maps or "
                "two vectors"
            )
        inside = [tuple(shape[1:-1]) for shape in (teacher_shape, student_shape)]
        if len(teacher_shape) != 4 and inside[0] != inside[1]:
            raise ValueError(
                f"{self.name} cannot compare features of shapes {tuple(teacher_shape)} "
                f"(teacher) and {tuple(student_shape)} (student): only maps (batch, "
                "height, width, channels) are brought to one size, name layers of "
                "equal ones"
            )
        return smaller_size(teacher_shape, student_shape)

    def get_config(self):
        return super().get_config() | {
            "teacher": list(self.teacher_layers),
            "student": list(self.student_layers),
        }


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
                f"{name} compares positions, so it needs feature maps, got features of "
                f"shape {tuple(shape)}: name a layer before the pooling"
            )


def projector(
    shape: Sequence[int],
    channels: int,
    *,
    bias: bool = False,
    initializer: str | keras.Initializer = "glorot_uniform",
):
    """A built linear map of features of `shape` to `channels`, one for all positions.

    1x1 convolution of a map, dense layer of a vector.
    """
    options = {"use_bias": bias, "kernel_initializer": initializer, "dtype": "float32"}
    if len(shape) == 4:
        layer = keras.layers.Conv2D(channels, 1, data_format="channels_last", **options)
    else:
        layer = keras.layers.Dense(channels, **options)
    layer.build(shape)
    return layer


def where_channels_differ(
    make: Callable[[tuple, int], keras.layers.Layer],
    teacher_shapes: Sequence[tuple],
    student_shapes: Sequence[tuple],
) -> list[keras.layers.Layer]:
    """A layer for each pair of features: the identity where both have equal channels.

    Args:
        make: function of (the student's shape, the teacher's channels) that gives a
            built layer, such as `projector`.
        teacher_shapes: the teacher's features.
        student_shapes: the student's features.
    """
    return [
        keras.layers.Identity(dtype="float32")
        if shape[-1] == wanted[-1]
        else make(shape, wanted[-1])
        for wanted, shape in zip(teacher_shapes, student_shapes, strict=True)
    ]


def _pooling(shape, size):
    if size is None or size == tuple(shape[1:3]):
        return None
    return AverageTo(size)


def _pooled(features, poolings):
    features = [ops.cast(feature, "float32") for feature in features]
    return [
        pooling(feature) if pooling else feature
        for feature, pooling in zip(features, poolings, strict=True)
    ]


def _resized(shape, size):
    return tuple(shape) if size is None else (shape[0], *size, shape[3])
