"""A transfer set: the train images of some classes only, for a student to see."""

import dataclasses
from collections.abc import Sequence
from functools import partial

import numpy as np
import tensorflow as tf

from experiments.data.splits import Data, Split


def only_classes(data: Data, classes: Sequence[int]) -> Data:
    """`data` with the train images of `classes` alone, in their order.

    Validation and test stay whole, and so do the class names and the pixel statistics:
    the same image is the same input to teacher and student.

    Args:
        data: from `load`.
        classes: labels, as in `data.class_names`.

    Raises:
        ValueError: there are no such classes, or no train image is of them.
    """
    check_classes(data, classes)
    train = data.train
    if train.stream is not None:
        chosen = _stream_of(train, classes)
    else:
        chosen = train.only(np.flatnonzero(np.isin(train.labels, classes)))
    if not chosen.size:
        names = ", ".join(data.class_names[label] for label in classes)
        raise ValueError(f"{data.name} has no train image of {names}")
    return dataclasses.replace(data, train=chosen)


def check_classes(data: Data, classes: Sequence[int]) -> None:
    """Raises ValueError unless `classes` are one or more labels of `data`."""
    known = range(len(data.class_names))
    if not classes or not set(classes) <= set(known):
        raise ValueError(
            f"classes of {data.name} are 0 to {known[-1]}, got {tuple(classes)}"
        )


def _stream_of(train: Split, classes: Sequence[int]) -> Split:
    """The labels are in the stream alone: it is gone through once, to count."""
    stream = partial(_filtered, train.stream, tuple(classes))
    size = stream().reduce(np.int64(0), lambda count, _: count + 1)
    return dataclasses.replace(train, size=int(size), stream=stream)


def _filtered(stream, classes) -> tf.data.Dataset:
    def is_chosen(_, label):
        return tf.reduce_any(tf.cast(label, tf.int64) == tf.constant(classes, tf.int64))

    return stream().filter(is_chosen)
