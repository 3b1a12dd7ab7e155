"""Settings are of the types that their dataclass says, and numbers are finite.

Python checks no annotation: NaN passes most comparisons, True counts as 1, and what is
no JSON, as numpy's numbers are, would be refused by the record of a finished run.
"""

import dataclasses
import functools
import sys
import types
import typing
from typing import Any

WORDS = {
    int: "a whole number",
    float: "a finite number",
    bool: "True or False",
    str: "a text",
    type(None): "None",
}


def check_types(record: Any, where: str = "") -> None:
    """Checks the fields of a dataclass, and of those in it, against their annotations.

    Numbers, flags, texts and tuples of them are checked; other kinds are not.

    Args:
        record: a dataclass.
        where: what stands before a field's name in an error, as "teacher.".

    Raises:
        ValueError: a value is of another type; the message names the field.
    """
    for name, hint in _hints(type(record)).items():
        value = getattr(record, name)
        if dataclasses.is_dataclass(value):
            check_types(value, f"{where}{name}.")
        elif not _fits(hint, value):
            raise ValueError(f"{where}{name} must be {_in_words(hint)}, got {value!r}")


@functools.cache
def _hints(kind):
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _fits(hint, value):
    if is_union(hint):
        return any(_fits(kind, value) for kind in typing.get_args(hint))
    if hint is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and -sys.float_info.max <= value <= sys.float_info.max
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint in WORDS:
        return isinstance(value, hint)
    if typing.get_origin(hint) is tuple and typing.get_args(hint)[-1] is Ellipsis:
        item = typing.get_args(hint)[0]
        return isinstance(value, tuple) and all(_fits(item, each) for each in value)
    return True


def _in_words(hint):
    if is_union(hint):
        return " or ".join(map(_in_words, typing.get_args(hint)))
    if typing.get_origin(hint) is tuple:
        return f"a tuple, each {_in_words(typing.get_args(hint)[0])}"
    return WORDS.get(hint, getattr(hint, "__name__", str(hint)))


def is_union(hint: Any) -> bool:
    """Whether a type is one of several, as `int | None`."""
    return typing.get_origin(hint) in (typing.Union, types.UnionType)
