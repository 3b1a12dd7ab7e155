"""The images, and their labels, that a saliency is told by, or a repair."""

from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from compression.arguments import fits, require_batches, shown
from compression.batches import images_of


def images_in(name: str, data: Iterable | None, model: keras.Model) -> Iterator[Any]:
    """The images of `data`, batch by batch; labels beside them are left out.

    Args:
        name: of the saliency, for the message.
        model: that takes them.
        data: batches of what the model takes, or tuples that begin with it.

    Raises:
        ValueError: there are none, they are not what the model takes, or a pixel is
            not finite.
    """
    for batch in _batches(name, data, "images"):
        yield finite_images(batch, model)


def finite_images(batch: Any, model: keras.Model) -> Any:
    """The images of a batch, which is images or a tuple that begins with them.

    Raises:
        ValueError: they are not what the model takes, or a pixel is not finite.
    """
    images = batch[0] if isinstance(batch, tuple) and batch else batch
    inputs = getattr(model, "inputs", None) or ()
    if len(inputs) == 1 and isinstance(batch, list | dict):
        images = images_of(batch)
    shapes = []
    for each in tree.flatten(images):
        try:
            array = ops.convert_to_numpy(each)
            finite = np.isfinite(array).all()
        except (TypeError, ValueError) as error:
            raise ValueError(
                "a batch must be images or a tuple (images, labels), got "
                f"{shown(batch)}"
            ) from error
        if not finite:
            raise ValueError(
                "a batch of images has a pixel that is not finite: leave it out"
            )
        shapes.append(array.shape)
    wanted = [tuple(each.shape[1:]) for each in inputs]
    same = len(wanted) == len(shapes) and all(
        fits(shape[1:], each) for shape, each in zip(shapes, wanted, strict=True)
    )
    if wanted and not same:
        raise ValueError(
            f"a batch must be images {' and '.join(map(str, wanted))}, one has the "
            f"shape {' and '.join(map(str, shapes))}"
        )
    return images


def labelled(
    name: str, data: Iterable | None, model: keras.Model
) -> Iterator[tuple[Any, np.ndarray]]:
    """The batches (images, labels) of `data`; labels are (n,), of one logit (n, 1).

    Args:
        name: of the saliency, for the message.
        data: the batches.
        model: that takes them; one logit stands for two classes.

    Raises:
        ValueError: there are none, they have no labels, or labels are no integers from
            0 on, below the number of classes; or a pixel is not finite.
    """
    logits = model.outputs[0].shape[-1]
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
        images = finite_images((batch[0],), model)
        count = len(tree.flatten(images)[0])
        if len(labels) != count:
            raise ValueError(
                f"saliency {name!r}: a batch has {count} images and {len(labels)} "
                "labels"
            )
        yield images, labels


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
