"""What the losses need of a teacher, as one function of the student's images."""

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from compression.arguments import shown
from compression.data_format import takes_channels_first
from compression.distillation.arguments import listed, require_graph, require_net
from compression.distillation.losses.base import DistillationLoss
from compression.distillation.losses.feature_loss import smaller_size
from compression.distillation.losses.logit_loss import LOGITS
from compression.distillation.losses.pooling import AverageTo
from compression.distillation.losses.resizing import ResizeTo
from compression.distillation.taps import Tap, shapes_at, tapped

TEACHER_LOGITS = f"teacher_{LOGITS}"


class TeacherFeature(NamedTuple):
    """One tensor of the teacher that a loss compares.

    Attributes:
        key: name among the outputs, and in batches that carry them.
        tap: where it is in the teacher.
        shape: of what is there, channels last.
        size: (height, width) that a map is averaged to; None: as it is.
    """

    key: str
    tap: Tap
    shape: tuple
    size: tuple[int, int] | None


def teacher_features(
    loss: DistillationLoss, teacher: keras.Model, student: keras.Model
) -> list[TeacherFeature]:
    """What `loss` compares of the teacher, in the order of `loss.teacher_layers`.

    A map that is larger than the student's is averaged to its size if the loss matches
    sizes, which also keeps a cache small.

    Raises:
        ValueError: one of the nets has no such layer.
    """
    if not isinstance(loss, DistillationLoss):
        raise ValueError(f"loss must be a DistillationLoss, got {shown(loss)}")
    require_graph(teacher, "teacher")
    require_graph(student, "student")
    taps, own_taps = (
        [loss.tap(layer) for layer in layers]
        for layers in (loss.teacher_layers, loss.student_layers)
    )
    sizes = [None] * len(taps)
    shapes = shapes_at(teacher, taps)
    if loss.match_sizes and taps:
        own_shapes = shapes_at(student, own_taps)
        sizes = [smaller_size(*pair) for pair in zip(shapes, own_shapes, strict=False)]
    features = []
    for layer, tap, shape, size in zip(
        loss.teacher_layers, taps, shapes, sizes, strict=False
    ):
        size = None if size == shape[1:3] else size
        key = f"teacher_{loss.tap_name(layer)}"
        key += "" if size is None else f"_{size[0]}x{size[1]}"
        features.append(TeacherFeature(key, tap, shape, size))
    return features


def teacher_outputs(
    teacher: keras.Model,
    student: keras.Model,
    features: Iterable[TeacherFeature],
    teacher_input: keras.layers.Layer | None = None,
) -> keras.Model:
    """The teacher as a functional model of the student's images.

    Its output is a dict: "teacher_logits", and each feature by its key.

    Raises:
        ValueError: the teacher cannot take such images, or one key names two tensors.
    """
    require_net(teacher, "teacher")
    require_net(student, "student")
    features = listed("features", features, "TeacherFeature objects")
    for feature in features:
        if not isinstance(feature, TeacherFeature):
            raise ValueError(
                "features must be what teacher_features gives, got a list with "
                f"{shown(feature)}"
            )
    # The same model in whatever order the losses come.
    features = sorted(features, key=lambda feature: feature.key)
    pairs = [(feature.key, feature.tap) for feature in features]
    inner = with_outputs(teacher, [(TEACHER_LOGITS, None), *pairs])
    image = keras.Input(
        student.input_shape[1:], dtype=student.inputs[0].dtype, name="image"
    )
    outputs = dict(inner(_fitted(image, teacher, teacher_input)))
    for key, size in {feature.key: feature.size for feature in features}.items():
        if size is not None:
            outputs[key] = AverageTo(size)(outputs[key])
    return keras.Model(image, outputs, name=teacher.name)


def with_outputs(
    model: keras.Model, taps: Iterable[tuple[str, Tap]], name: str | None = None
) -> keras.Model:
    """The layers of `model` as a model with a dict of taps, by name, as its output.

    Raises:
        ValueError: two of them have one name, as where a layer that is not the last one
            is called "logits"; or there is no such layer.
    """
    names, which = zip(*taps, strict=True)
    made = tapped(model, dict(enumerate(which)), channels_last=True)
    outputs = _by_name(model, zip(names, made.output.values(), strict=True))
    return keras.Model(made.inputs[0], outputs, name=name)


def _by_name(model, tensors):
    found = {}
    for name, tensor in tensors:
        if found.setdefault(name, tensor) is not tensor:
            raise ValueError(
                f"{name!r} would be two different tensors of {model.name!r}: rename "
                "the layer that a loss names"
            )
    return found


class TeacherFunction:
    """A teacher as a function of the student's images that is not trained.

    A plain object: Keras would track, save and freeze a model that is an attribute of
    another model.

    Args:
        model: as `teacher_outputs` makes it.
    """

    def __init__(self, model: keras.Model):
        self.model = model

    def __call__(self, images) -> dict[str, Any]:
        """All outputs by key, in inference mode; no gradient flows into them."""
        outputs = self.model(images, training=False)
        return {key: ops.stop_gradient(output) for key, output in outputs.items()}


class NoTeacher:
    """What a distiller calls where it has no teacher: an error.

    Args:
        keys: of the outputs that the batches have to carry instead.
    """

    model = None

    def __init__(self, keys: Collection[str]):
        self.keys = keys

    def __call__(self, images) -> dict[str, Any]:
        raise ValueError(
            "no teacher: call set_teacher(model), or let the batches carry "
            + ", ".join(repr(key) for key in sorted(self.keys))
        )


def _fitted(image, teacher, teacher_input):
    """Images in the size that the teacher takes."""
    fitted = _converted(image, teacher_input)
    wanted, given = teacher.input_shape[1:], fitted.shape[1:]
    channels = [shape[-1] for shape in (wanted, given)]
    if len(wanted) != len(given) or (None not in channels and len(set(channels)) > 1):
        raise ValueError(
            f"teacher {teacher.name!r} takes images of shape {tuple(wanted)}, the "
            f"student's are {tuple(given)}: give a layer that converts them as "
            "teacher_input"
        )
    if len(wanted) == 3 and None not in wanted and wanted[:2] != given[:2]:
        if takes_channels_first(teacher):
            raise ValueError(
                f"teacher {teacher.name!r} takes images with their channels first, of "
                f"shape {tuple(wanted)}, the student's are {tuple(given)}, and only "
                "images with their channels last are resized: give a layer that "
                "converts them as teacher_input"
            )
        fitted = ResizeTo(wanted[:2])(fitted)
    return fitted


def _converted(image, teacher_input):
    if teacher_input is None:
        return image
    if not isinstance(teacher_input, keras.Layer):
        raise ValueError(
            "teacher_input must be a Keras layer, such as Renormalise or a "
            f"keras.layers.Lambda, got {shown(teacher_input)}"
        )
    try:
        converted = teacher_input(image)
    except Exception as error:  # of a stranger's layer
        raise ValueError(
            f"teacher_input {teacher_input.name!r} cannot take the student's images, "
            f"of shape {tuple(image.shape[1:])}: {error}"
        ) from error
    if not isinstance(converted, keras.KerasTensor):
        raise ValueError(
            f"teacher_input {teacher_input.name!r} must give one tensor, the images, "
            f"got {shown(converted)}"
        )
    return converted


@keras.saving.register_keras_serializable("limbeck")
class Renormalise(keras.layers.Layer):
    """Images normalised in one way -> the same images normalised in another.

    `(pixels - mean) / std` for each channel, the pixels being on any scale that the
    two share. A grey image becomes as many equal channels as `want` has.

    Args:
        have: (mean, std) of the images, each one number a channel.
        want: (mean, std) that the teacher expects.

    Raises:
        ValueError: the numbers of channels differ and the images are not grey; or what
            is given are no such pairs.
    """

    def __init__(self, have, want, name=None):
        super().__init__(name=name, dtype="float32")
        self.have, self.want = _mean_and_std("have", have), _mean_and_std("want", want)
        if len(self.have[0]) not in (1, len(self.want[0])):
            raise ValueError(
                f"images of {len(self.have[0])} channels cannot become ones of "
                f"{len(self.want[0])}"
            )

    def call(self, images):
        (mean, std), (new_mean, new_std) = np.float32(self.have), np.float32(self.want)
        return images * (std / new_std) + (mean - new_mean) / new_std

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], len(self.want[0]))

    def get_config(self):
        return {"have": self.have, "want": self.want, "name": self.name}


def _mean_and_std(name, given):
    """(mean, std), each a tuple of floats, one a channel."""
    try:
        mean, std = (tuple(map(float, np.atleast_1d(part))) for part in given)
        sound = len(mean) == len(std) and min(std) > 0 and np.isfinite(mean + std).all()
    except (TypeError, ValueError):
        sound = False
    if not sound:
        raise ValueError(
            f"{name} must be (mean, std), each one number a channel and std above 0, "
            f"got {shown(given)}"
        )
    return mean, std
