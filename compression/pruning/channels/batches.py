"""The images, and their labels, that a saliency is told by."""

from collections.abc import Iterable, Iterator
from typing import Any


def images_of(name: str, data: Iterable | None) -> Iterator[Any]:
    """The images of `data`, batch by batch; labels beside them are left out.

    Args:
        name: of the saliency, for the message.
        data: batches of what the model takes, or tuples that begin with it.

    Raises:
        ValueError: there are none.
    """
    for batch in _batches(name, data, "images"):
        yield batch[0] if isinstance(batch, tuple) else batch


def labelled(name: str, data: Iterable | None) -> Iterator[tuple[Any, Any]]:
    """The batches (images, labels) of `data`.

    Raises:
        ValueError: there are none, or they have no labels.
    """
    for batch in _batches(name, data, "(images, labels)"):
        if not isinstance(batch, tuple | list) or len(batch) != 2:
            raise ValueError(f"saliency {name!r} needs batches (images, labels)")
        yield tuple(batch)


def _batches(name, data, what):
    if data is None:
        raise ValueError(f"saliency {name!r} needs data: batches {what}")
    empty = True
    for batch in data:
        empty = False
        yield batch
    if empty:
        raise ValueError(f"saliency {name!r} needs data, got no batch")
