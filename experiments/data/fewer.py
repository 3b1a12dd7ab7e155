"""Fewer images: a part of the train and validation images stands for all of them."""

import dataclasses
from functools import partial

from experiments.data.labelled import stratified
from experiments.data.splits import Data, Split


def fewer(data: Data, train_images: int, *, seed: int = 0) -> Data:
    """`data` with so many of its train images, and as large a part of the validation.

    Each class has its part; of a stream the first images are taken. Test images and
    pixel statistics stay.

    Args:
        data: from `load`.
        train_images: how many.
        seed: which ones.

    Raises:
        ValueError: there are not so many, or fewer are asked for than there are
            classes.
    """
    classes, held_out = len(data.class_names), data.validation.size
    if not classes <= train_images <= data.train.size:
        raise ValueError(
            f"train_images must be from {classes} (one a class of {data.name}) to "
            f"{data.train.size} (its train images), got {train_images}"
        )
    part = round(held_out * train_images / data.train.size)
    held_out = min(held_out, max(part, classes))
    return dataclasses.replace(
        data,
        train=_part(data.train, train_images, classes, seed),
        validation=_part(data.validation, held_out, classes, seed),
    )


def _part(split: Split, count: int, classes: int, seed: int) -> Split:
    if split.stream is not None:
        stream = partial(_first, split.stream, count)
        return dataclasses.replace(split, size=count, stream=stream)
    return split.only(stratified(split.labels, classes, count, seed=seed))


def _first(stream, count):
    return stream().take(count)
