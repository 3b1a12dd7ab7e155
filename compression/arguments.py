"""What users give, checked: numbers, names of layers, batches that have an end."""

import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

LONGEST = 100  # characters of what was got
# A few hundred images are enough: more than these come from data that never end.
MOST_IMAGES = 100_000
MOST_BYTES = 2**31
INFINITE = -1  # the cardinality of a dataset of TensorFlow that never ends


def shown(value: Any) -> str:
    """`value` as messages show it: on one line, and not at any length."""
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def require_number(
    name: str, value: Any, *, whole: bool = False, kind: str | None = None
) -> None:
    """Check that `value` is a finite number; ranges are the caller's matter.

    Args:
        name: of the argument.
        value: what was given for it.
        whole: whether it must be an integer.
        kind: what else it may be, for the message.

    Raises:
        ValueError: it is not.
    """
    kind = kind or ("a whole number" if whole else "a number")
    wanted = Integral if whole else Real
    # A bool is a number for Python.
    if isinstance(value, bool | np.bool_) or not isinstance(value, wanted):
        raise ValueError(f"{name} must be {kind}, got {shown(value)}")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value}")


def as_path(given: Any) -> Path:
    """The path of a file or folder, "~" in it opened.

    Raises:
        ValueError: it is none, but a model perhaps.
    """
    try:
        return Path(given).expanduser()
    except TypeError:
        raise ValueError(f"expected the path of a file, got {shown(given)}") from None


def names(setting: str, given: str | Iterable[str]) -> tuple[str, ...]:
    """Names of layers, or patterns of them; one alone may stand without a list.

    Args:
        setting: what an error calls it.
        given: for it.

    Raises:
        ValueError: it holds something else.
    """
    found = (given,) if isinstance(given, str) or given is None else given
    found = tuple(found) if isinstance(found, Iterable) else (found,)
    if not all(isinstance(name, str) for name in found):
        raise ValueError(
            f"{setting} must be names of layers, or patterns as in 'conv*', got "
            f"{shown(given)}"
        )
    return found


def require_batches(name: str, given: Any, what: str = "batches of images") -> None:
    """Check that batches can be gone through; what is in them is the caller's matter.

    Args:
        name: of the argument.
        given: for it.
        what: it must be.

    Raises:
        ValueError: it is no iterable, or a text, or one dict; or it is known to go on
            for ever, as `dataset.repeat()` does.
    """
    if not isinstance(given, Iterable) or isinstance(given, str | bytes | Mapping):
        raise ValueError(f"{name} must be {what}, got {shown(given)}")
    cardinality = getattr(given, "cardinality", None)
    if callable(cardinality) and cardinality() == INFINITE:
        raise ValueError(
            f"{name} would never end: give some of it, such as dataset.take(8)"
        )


def require_end(
    batches: Sequence[Any],
    size: int,
    name: str = "calibration",
    most: int = MOST_BYTES,
) -> None:
    """Raises ValueError where batches that are held in memory are too large.

    Of data that never end nobody sees more than that.

    Args:
        batches: the images so far.
        size: of all of them, in bytes.
        name: of the argument.
        most: bytes.
    """
    if size > most or len(batches) > MOST_IMAGES:
        raise endless(name, sum(map(len, batches)), size)


def endless(name: str, count: int, size: int) -> ValueError:
    """What to raise where `count` images came, of `size` bytes, and more are coming."""
    return ValueError(
        f"{name} goes on after {count} images ({size / 2**20:.0f} MiB): does it ever "
        "end? A few hundred are enough, such as the first batches, dataset.take(8)"
    )


def fits(shape: Sequence[int], expected: Sequence[int | None]) -> bool:
    """Whether an array has a shape in which None is any size."""
    return len(shape) == len(expected) and all(
        wanted in (None, size) for size, wanted in zip(shape, expected, strict=True)
    )
