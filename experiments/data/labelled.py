"""Few labels: only some train images are learned from, each class with its share."""

import dataclasses

import numpy as np

from experiments.data.splits import Data, spread


def with_labels(data: Data, labels: float, *, seed: int) -> Data:
    """`data` with `labels` train images, each class with its share.

    An epoch stays as long as it was: the images are shown again and again, each time
    in another view, so that nets that learn from few labels and from many take as many
    steps. Validation, test and pixel statistics stay.

    Args:
        data: from `load`.
        labels: how many train images; below 1, which share of them.
        seed: which ones.

    Raises:
        ValueError: there are not so many images, or fewer labels than classes; or a
            class has no train image; or the labels are in a stream alone.
    """
    chosen = chosen_images(data, labels, seed=seed)
    train = data.train
    rounds = -(-train.size // len(chosen))
    shown = np.tile(chosen, rounds)[: max(train.size, len(chosen))]
    return dataclasses.replace(data, train=train.only(shown))


def chosen_images(data: Data, labels: float, *, seed: int) -> np.ndarray:
    """Indices in the train split, sorted; arguments and errors of `with_labels`."""
    count = check_labels(data, labels)
    return stratified(data.train.labels, len(data.class_names), count, seed=seed)


def stratified(
    labels: np.ndarray, classes: int, count: int, *, seed: int
) -> np.ndarray:
    """Indices of `count` images, sorted, each class with its part.

    Args:
        labels: (n,) integers in [0, classes).
        classes: how many there are.
        count: of images, up to n, one a class at least.
        seed: which ones.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    by_class = [order[labels[order] == label] for label in range(classes)]
    there = np.array([len(images) for images in by_class])
    counts = spread(there, count)
    # A class that is rare is in it, too: at the cost of the largest one.
    for label in np.flatnonzero((counts == 0) & (there > 0)):
        counts[np.argmax(counts)] -= 1
        counts[label] = 1
    picked = [images[:part] for images, part in zip(by_class, counts, strict=True)]
    return np.sort(np.concatenate(picked))


def check_labels(data: Data, labels: float) -> int:
    """How many train images `labels` are: itself, or below 1 that share of them.

    A share has an image of each class at least.

    Raises:
        ValueError: so many cannot be chosen.
    """
    train, classes = data.train, len(data.class_names)
    if train.labels is None:
        raise ValueError(
            f"{data.name} is read as a stream, whose labels are not known beforehand: "
            "labels=None, or a smaller image_size so that it fits in memory"
        )
    share = 0 < labels < 1
    number = max(round(labels * train.size), classes) if share else labels
    if not float(number).is_integer() or not classes <= number <= train.size:
        raise ValueError(
            f"labels must be from {classes} (one a class of {data.name}) to "
            f"{train.size} (its train images), or a share of them below 1, got {labels}"
        )
    lacking = np.setdiff1d(np.arange(classes), train.labels)
    if len(lacking):
        raise ValueError(
            f"the train split of {data.name} lacks the class "
            f"{data.class_names[lacking[0]]!r}"
        )
    return int(number)


def check_number(labels: float | None) -> None:
    """Raises ValueError where `labels` is no number of images, and no share of them."""
    if labels is None or 0 < labels < 1:
        return
    if labels < 1 or not float(labels).is_integer():
        raise ValueError(
            f"labels must be a whole number, or a share below 1, got {labels}"
        )


def in_words(labels: float) -> str:
    """ "50 images", or "10% of the images"."""
    if 0 < labels < 1:
        return f"{100 * labels:g}% of the images"
    return f"{labels:,} images"
