"""The images, and their labels, that a saliency is told by, or a repair."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from keras import ops, tree

from compression.arguments import require_batches


def images_of(name: str, data: Iterable | None) -> Iterator[Any]:
    """The images of `data`, batch by batch; labels beside them are left out.

    Args:
        name: of the saliency, for the message.
        data: batches of what the model takes, or tuples that begin with it.

    Raises:
        ValueError: there are none, or a pixel is not finite.
    """
    for batch in _batches(name, data, "images"):
        yield finite_images(batch)


def finite_images(batch: Any) -> Any:
    """The images of a batch, which is images or a tuple that begins with them.

    Raises:
        ValueError: a pixel is not finite.
    """
    images = batch[0] if isinstance(batch, tuple) else batch
    for each in tree.flatten(images):
        if not np.isfinite(ops.convert_to_numpy(each)).all():
            raise ValueError(
                "a batch of images has a pixel that is not finite: leave it out"
            )
    return images


def labelled(
    name: str, data: Iterable | None, logits: int
) -> Iterator[tuple[Any, np.ndarray]]:
    """The batches (images, labels) of `data`; labels are (n,), of one logit (n, 1).

    Args:
        name: of the saliency, for the message.
        data: the batches.
        logits: how many the model gives; one stands for two classes.

    Raises:
        ValueError: there are none, they have no labels, or labels are no integers from
            0 on, below the number of classes; or a pixel is not finite.
    """
    classes = max(logits, 2)
    for batch in _batches(name, data, "(images, labels)"):
        if not isinstance(batch, tuple | list) or len(batch) != 2:
            raise ValueError(f"saliency {name!r} needs batches (images, labels)")
        labels = ops.convert_to_numpy(batch[1])
        if labels.shape[1:] == (1,):
            labels = labels[:, 0]
        if labels.ndim != 1 or labels.dtype.kind not in "iu":
            raise ValueError(
                f"saliency {name!r} needs integer labels (n,), got {labels.dtype} "
                f"{labels.shape}"
            )
        if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
            raise ValueError(
                f"saliency {name!r}: labels must be 0 to {classes - 1}, got "
                f"{labels.min()} to {labels.max()}"
            )
        labels = labels[:, None] if logits == 1 else labels
        yield finite_images((batch[0],)), labels


def _batches(name, data, what):
    if data is None:
        raise ValueError(f"saliency {name!r} needs data: batches {what}")
    require_batches(f"saliency {name!r}: data", data, f"batches {what}")
    empty = True
    for batch in data:
        empty = False
        yield batch
    if empty:
        raise ValueError(f"saliency {name!r} needs data, got no batch")
