"""All that the losses hear of a teacher, as one functional model."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import keras
import numpy as np

from compression.distillation.losses.feature_loss import FeatureLoss, smaller_size
from compression.distillation.losses.pooling import AverageTo
from compression.distillation.taps import tap

LOGITS = "teacher_logits"


class Tone(NamedTuple):
    """One tensor that a loss hears: its name, where it is, the size it is averaged to.

    Attributes:
        key: name among the outputs, and in batches that carry them.
        tensor: KerasTensor of the teacher.
        size: (height, width) that a map is averaged to; None: as it is.
    """

    key: str
    tensor: Any
    size: tuple[int, int] | None


def heard_by(loss: Any, teacher: keras.Model, student: keras.Model) -> list[Tone]:
    """What `loss` hears inside the teacher: nothing, if it is between logits.

    A map that is larger than the student's is averaged to its size, which also keeps
    a cache small.
    """
    if not isinstance(loss, FeatureLoss):
        return []
    before = loss.before_activation
    tones = []
    for layer, own in zip(loss.teacher_layers, loss.student_layers, strict=False):
        tensor = tap(teacher, layer, before_activation=before)
        size = None
        if loss.match_sizes:
            beside = tap(student, own, before_activation=before)
            size = smaller_size(tensor.shape, beside.shape)
            size = None if size == tuple(tensor.shape[1:3]) else size
        key = f"teacher_{layer}{'_before' * before}"
        key += "" if size is None else f"_{size[0]}x{size[1]}"
        tones.append(Tone(key, tensor, size))
    return tones


def teacher_outputs(
    teacher: keras.Model,
    student: keras.Model,
    tones: Iterable[Tone],
    teacher_input: keras.layers.Layer | None = None,
) -> keras.Model:
    """The teacher as a functional model of the student's images.

    Its output is a dict: "teacher_logits", and each tone by its key.

    Raises:
        ValueError: the teacher cannot take such images.
    """
    found = {tone.key: tone for tone in tones}
    tones = dict(sorted(found.items()))  # the same model in whatever order
    tensors = {key: tone.tensor for key, tone in tones.items()}
    inner = keras.Model(teacher.inputs[0], {LOGITS: teacher.outputs[0], **tensors})
    image = keras.Input(
        student.input_shape[1:], dtype=student.inputs[0].dtype, name="image"
    )
    outputs = dict(inner(_fitted(image, teacher, teacher_input)))
    for key, tone in tones.items():
        if tone.size is not None:
            outputs[key] = AverageTo(tone.size)(outputs[key])
    return keras.Model(image, outputs, name=teacher.name)


def _fitted(image, teacher, teacher_input):
    """Images as the teacher takes them."""
    fitted = image if teacher_input is None else teacher_input(image)
    wanted, given = teacher.input_shape[1:], fitted.shape[1:]
    channels = [shape[-1] for shape in (wanted, given)]
    if len(wanted) != len(given) or (None not in channels and len(set(channels)) > 1):
        raise ValueError(
            f"teacher {teacher.name!r} takes images of shape {tuple(wanted)}, the "
            f"student's are {tuple(given)}: give a layer that converts them as "
            "teacher_input"
        )
    if len(wanted) == 3 and None not in wanted and wanted[:2] != given[:2]:
        fitted = keras.layers.Resizing(*wanted[:2], antialias=True, dtype="float32")(
            fitted
        )
    return fitted


@keras.saving.register_keras_serializable("limbeck")
class Renormalise(keras.layers.Layer):
    """Images normalised in one way -> the same images normalised in another.

    `(pixels - mean) / std` for each channel, the pixels being on any scale that the
    two share. A grey image becomes as many equal channels as `want` has.

    Args:
        have: (mean, std) of the images, each one number a channel.
        want: (mean, std) that the teacher expects.

    Raises:
        ValueError: the numbers of channels differ and the images are not grey.
    """

    def __init__(self, have, want, name=None):
        super().__init__(name=name, dtype="float32")
        self.have, self.want = (
            tuple(tuple(map(float, np.atleast_1d(part))) for part in pair)
            for pair in (have, want)
        )
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
