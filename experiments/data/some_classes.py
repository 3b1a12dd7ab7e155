"""Some classes of a dataset as a dataset of their own: "cifar10[0,1,2]"."""

import dataclasses
import re
from functools import partial
from typing import NamedTuple

import numpy as np

from compression.nearest import did_you_mean
from experiments.data.splits import Data, Split, pixel_statistics

NAME = re.compile(r"(?P<base>.+?)(?P<classes>\[[^\[\]]*\])", re.DOTALL)


class Name(NamedTuple):
    """The name of a dataset, and the classes that are chosen, as "[0,1]" or ""."""

    base: str
    classes: str


def parsed(name: str) -> Name:
    """The parts of a dataset's name."""
    found = NAME.fullmatch(name)
    return Name(found["base"], found["classes"]) if found else Name(name, "")


def of_classes(data: Data, classes: str) -> Data:
    """The images of some classes, which are numbered anew in the order given.

    Args:
        data: from `load`.
        classes: as "[cat,dog]" or "[3,5]": names or labels.

    Raises:
        ValueError: there is no such class, one stands there twice, fewer than two
            are chosen, or a split lacks one.
    """
    labels = [_label(data, word.strip()) for word in classes[1:-1].split(",")]
    if len(set(labels)) != len(labels) or len(labels) < 2:
        raise ValueError(f"{classes} must be two or more classes of {data.name}, once")
    train, validation, test = (
        _only(split, labels, data) for split in (data.train, data.validation, data.test)
    )
    mean, std = pixel_statistics(train, data.image_shape)
    return dataclasses.replace(
        data,
        name=f"{data.name}{classes}",
        class_names=tuple(data.class_names[label] for label in labels),
        train=train,
        validation=validation,
        test=test,
        mean=mean,
        std=std,
    )


def _label(data, word):
    if word in data.class_names:
        return data.class_names.index(word)
    if word.isdecimal() and int(word) < len(data.class_names):
        return int(word)
    raise ValueError(
        f"{data.name} has no class {word!r}{did_you_mean(word, data.class_names)}; "
        "choose from "
        f"{', '.join(data.class_names[:20])}, or 0 to {len(data.class_names) - 1}"
    )


def _only(split: Split, labels: list[int], data: Data) -> Split:
    new = np.full(len(data.class_names), -1, np.int64)
    new[labels] = np.arange(len(labels))
    if split.stream is not None:
        stream = partial(_filtered, split.stream, new)
        counts = np.zeros(len(labels), np.int64)
        for label in stream().map(lambda _, label: label).as_numpy_iterator():
            counts[label] += 1
        chosen = dataclasses.replace(split, size=int(counts.sum()), stream=stream)
    else:
        index = np.flatnonzero(new[split.labels] >= 0)
        chosen = split.only(index)
        chosen = dataclasses.replace(chosen, labels=new[chosen.labels])
        counts = np.bincount(chosen.labels, minlength=len(labels))
    if not counts.all():
        lacking = data.class_names[labels[int(np.argmin(counts))]]
        raise ValueError(
            f"the {split.name} split of {data.name} lacks the class {lacking!r}"
        )
    return chosen


def _filtered(stream, new):
    import tensorflow as tf

    renumbered = stream().map(
        lambda image, label: (image, tf.gather(new, tf.cast(label, tf.int64)))
    )
    return renumbered.filter(lambda _, label: label >= 0)
