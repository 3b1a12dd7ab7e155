"""What a loss may know of a batch besides the features that it compares."""

from typing import Any, NamedTuple

import keras
from keras import ops

from compression.arguments import require_number

Schedule = keras.optimizers.schedules.LearningRateSchedule


class Batch(NamedTuple):
    """One batch as the losses see it; what is not known is None.

    Attributes:
        labels: (batch,) integer classes.
        teacher_logits: (batch, classes).
        student_logits: (batch, classes).
        index: (batch,) integers, each image's position in the train split.
        step: number of training steps so far, a scalar.
        training: whether this is a training step, not an evaluation.
    """

    labels: Any = None
    teacher_logits: Any = None
    student_logits: Any = None
    index: Any = None
    step: Any = None
    training: bool = False


def images_of(inputs):
    """The images of a batch, which may carry more than these.

    Raises:
        ValueError: it has none, or is no batch of images.
    """
    if isinstance(inputs, dict):
        if "image" not in inputs:
            raise ValueError(
                'a batch must be images, or a dict with "image" among its keys, got '
                f'the keys {sorted(inputs)}: put the images under "image"'
            )
        return inputs["image"]
    if isinstance(inputs, list | tuple) and len(inputs) != 1:
        raise ValueError(
            f'a batch must be images, or a dict with "image", got {len(inputs)} '
            "arrays: of these, give the images"
        )
    return inputs


def weighted(values, sample_weight):
    """(batch,) values, each times its sample weight if there are any."""
    if sample_weight is None:
        return values
    weights = ops.reshape(sample_weight, ops.shape(values))
    return values * ops.cast(weights, "float32")


def at_step(value: float | Schedule, batch: Batch):
    """The weight or temperature at the batch's step: a number itself, or a schedule's.

    A Keras learning rate schedule is a ramp of anything: `PolynomialDecay(0.0, 1000,
    end_learning_rate=1.0)` rises from 0 to 1 over a thousand steps.
    """
    if not isinstance(value, Schedule):
        return value
    return value(0 if batch.step is None else batch.step)


def require_weight(weight: float | Schedule, name: str = "weight") -> float | Schedule:
    """`weight` itself; `name` is what an error calls it.

    Raises:
        ValueError: it is a negative number, or no number.
    """
    if isinstance(weight, Schedule):
        return weight
    require_number(name, weight, kind="a number or a schedule of the step")
    if weight < 0:
        raise ValueError(f"{name} must not be negative, got {weight}")
    return weight


def serialized(value: float | Schedule):
    """A number or schedule as a config has it."""
    if isinstance(value, Schedule):
        return keras.saving.serialize_keras_object(value)
    return value


def deserialized(value) -> float | Schedule:
    """The opposite of `serialized`."""
    if isinstance(value, dict):
        return keras.saving.deserialize_keras_object(value)
    return value


def shapes_of(shapes) -> list[tuple]:
    """A list of shapes; Keras gives one shape where it was given one tensor."""
    one = bool(shapes) and not isinstance(shapes[0], list | tuple)
    return [tuple(shapes)] if one else [tuple(shape) for shape in shapes]
