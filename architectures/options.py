"""Options of nets, checked before one is built: their names, the kinds of values."""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from numbers import Integral, Real
from os.path import commonprefix
from types import NoneType
from typing import Any, get_args, get_origin

ALIKE = 0.7  # of two names, from 0 to 1, that may be one misspelt
WORDS = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}
WORDS |= {NoneType: "None"}


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The name that may have been meant, in words; of equals the one that begins so."""

    def likeness(name):
        pair = word.lower(), name
        return SequenceMatcher(None, *pair).ratio(), len(commonprefix(pair))

    nearest = max(known, key=likeness)
    return f" (did you mean {nearest}?)" if likeness(nearest)[0] >= ALIKE else ""


def checked_options(
    net: str, function: Callable, options: Mapping[str, Any]
) -> dict[str, Any]:
    """The options, if a net's function takes them; ranges are the function's matter.

    Numbers of NumPy become Python's: Keras takes no others.

    Args:
        net: what an error calls it.
        function: with annotated parameters.
        options: by name.

    Raises:
        ValueError: it has no such option, or takes values of another type.
    """
    known, found = inspect.signature(function).parameters, {}
    for name, value in options.items():
        if name not in known:
            raise ValueError(
                f"{net} has no option {name!r}{did_you_mean(name, known)}; it takes "
                f"{', '.join(known)}"
            )
        hint = known[name].annotation
        if not _suits(value, hint):
            raise ValueError(
                f"{net}: {name} must be {_in_words(hint)}, got {value!r:.100}"
            )
        found[name] = _plain(value)
    return found


def _suits(value, hint):
    if get_origin(hint) is tuple:  # a side may be open: the function says which
        return _is_list(value) and all(v is None or _suits(v, int) for v in value)
    if get_origin(hint) is Sequence:
        return _is_list(value) and all(_suits(v, int) for v in value)
    if kinds := get_args(hint):
        return any(_suits(value, kind) for kind in kinds)
    if hint is bool or isinstance(value, bool):  # a bool is an int for Python
        return hint is bool and isinstance(value, bool)
    if hint is int:
        return isinstance(value, Integral)
    if hint is float:
        return isinstance(value, Real) and math.isfinite(value)
    return isinstance(value, hint)


def _plain(value):
    if isinstance(value, tuple | list):
        return tuple(map(_plain, value))
    return value.item() if hasattr(value, "item") else value


def _is_list(value):
    return isinstance(value, tuple | list)


def _in_words(hint):
    if get_origin(hint) in (tuple, Sequence):
        return "a tuple of whole numbers"
    return " or ".join(WORDS[kind] for kind in get_args(hint) or (hint,))
