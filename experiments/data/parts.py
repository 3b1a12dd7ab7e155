"""Labelled images in three parts: as somebody has split them already, or cut here."""

from collections.abc import Sequence

import numpy as np

from experiments.data.splits import (
    VALIDATION_SHARE,
    check_validation,
    seventy_ten_twenty,
    spread,
    stratified_cut,
)

# How people call the parts of what is split already, in lower case.
PARTS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
FEWEST = 3  # images of a class that is cut in three


def check_classes(
    where: str, class_names: Sequence[str], labels: np.ndarray, what: str = "images"
) -> None:
    """Are there classes to tell apart, and enough images of each?

    Args:
        where: the images lie, for the message.
        class_names: label i is class_names[i].
        labels: (n,) of all images.
        what: is counted, for the message.

    Raises:
        ValueError: there are fewer than two classes, or fewer than 3 images of one.
    """
    if len(class_names) < 2:
        raise ValueError(
            f"{where} must have images of at least two classes, found "
            f"{list(class_names)}"
        )
    counts = np.bincount(labels, minlength=len(class_names))
    for name, count in zip(class_names, counts, strict=True):
        if count < FEWEST:
            raise ValueError(
                f"class {name!r} in {where} must have at least {FEWEST} {what}, found "
                f"{count}"
            )


def three_parts(
    where: str,
    class_names: Sequence[str],
    labels: np.ndarray,
    parts: np.ndarray | None,
    validation: int | None,
) -> list[np.ndarray]:
    """Positions of the train, validation and test images, each in a mixed order.

    Those that are split already stay so; without test images, the validation images
    are those, and without validation images, they are cut from the train images.

    Args:
        where: the images lie, for the message.
        class_names: label i is class_names[i].
        labels: (n,) of all images.
        parts: (n,) values of `PARTS`; None where nobody has split them.
        validation: how many images to hold out; None: a tenth.

    Raises:
        ValueError: `validation` is no number of images that can be cut off, or a class
            has no train image, or there are neither test nor validation images.
    """
    if parts is None:
        return list(seventy_ten_twenty(labels, validation=validation))
    train, held_out, test = (
        np.flatnonzero(parts == part) for part in ("train", "validation", "test")
    )
    if not len(test):
        held_out, test = test, held_out
    if not len(test):
        raise ValueError(
            f"{where} has train images only: some must be test or val, to measure on"
        )
    if len(held_out) and validation is not None:
        raise ValueError(
            f"{where} has validation images of its own: leave out validation, got "
            f"{validation}"
        )
    if not len(held_out):
        if validation is None:
            validation = max(1, round(len(train) * VALIDATION_SHARE))
        check_validation(validation, len(train))
        train, held_out = in_two(train, labels, validation)
    lacking = set(range(len(class_names))) - set(labels[train])
    if lacking:
        name = class_names[min(lacking)]
        raise ValueError(f"class {name!r} in {where} has no readable train image")
    return [in_two(part, labels, 0)[0] for part in (train, held_out, test)]


def in_two(
    index: np.ndarray, labels: np.ndarray, second: int
) -> tuple[np.ndarray, np.ndarray]:
    """`index` in a mixed order, and `second` of it cut off, of all classes alike."""
    of_class = np.bincount(labels[index])
    none = np.zeros_like(of_class)
    rest, cut_off, _ = stratified_cut(
        labels[index], validation=spread(of_class, second), test=none
    )
    return index[rest], index[cut_off]
