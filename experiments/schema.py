"""What a value that was read from JSON must be, written as types, and checked.

    str, int, float, bool, None     as JSON has them; a whole number is a float, too
    Any                             whatever there is
    list[X], dict[str, X], X | Y    of these
    a TypedDict                     an object with these keys; others may be there, too
    Annotated[X, Rule(...)]         an X of which more must hold

A file that a person or a disk has altered is refused where it is read, with the key
that is wrong. Whoever uses the value then need not doubt it.
"""

import functools
import typing
from collections.abc import Callable
from types import NoneType
from typing import Annotated, Any, NamedTuple

from experiments.value_types import is_union

DEEPEST = 60  # lists and objects in one another; ours have 8
LARGEST = 1e18  # of the numbers that are measured: sums and squares are finite
SHOWN = 60  # characters of a wrong value in a message
WORDS = {str: "a text", int: "a whole number", float: "a number", NoneType: "null"}
WORDS |= {bool: "true or false", list: "a list", dict: "an object"}


class Rule(NamedTuple):
    """What else must hold of a value, in words and as a function of it."""

    words: str
    holds: Callable[[Any], bool]


# NaN is a number that could not be measured: it passes.
Fraction = Annotated[float, Rule("from 0 to 1", lambda x: not (x < 0 or x > 1))]
Size = Annotated[float, Rule("from 0 to 1e18", lambda x: not (x < 0 or x > LARGEST))]
Number = Annotated[float, Rule("from -1e18 to 1e18", lambda x: not abs(x) > LARGEST)]
Finite = Annotated[float, Rule("that is finite", lambda x: abs(x) <= LARGEST)]
Positive = Annotated[float, Rule("above 0", lambda x: 0 < x <= LARGEST)]
Printable = Annotated[str, Rule("that can be printed", str.isprintable)]
Count = Annotated[int, Rule("from 0 to 1e18", lambda x: 0 <= x <= LARGEST)]


def require(value: Any, kind: Any) -> None:
    """Check that `value` is of that kind.

    Raises:
        ValueError: it is not; names the place in it, and what stands there.
    """
    _require_shallow(value)
    _require(value, kind, "")


def _require(value, kind, at):
    if kind is Any:
        return
    kinds = typing.get_args(kind) if is_union(kind) else (kind,)
    for each in kinds:
        if _is_a(value, each):
            _require_inside(value, each, at)
            return
    raise ValueError(_must_be(value, at, " or ".join(map(_in_words, kinds))))


def _require_inside(value, kind, at):
    if typing.get_origin(kind) is Annotated:
        inner, rule = typing.get_args(kind)
        _require_inside(value, inner, at)
        if not rule.holds(value):
            raise ValueError(_must_be(value, at, f"{_in_words(inner)} {rule.words}"))
    elif typing.get_origin(kind) is list:
        [inner] = typing.get_args(kind)
        for i, item in enumerate(value):
            _require(item, inner, f"{at}[{i}]")
    elif typing.get_origin(kind) is dict:
        _, inner = typing.get_args(kind)
        for key, item in value.items():
            _require(item, inner, _inner(at, key))
    elif typing.is_typeddict(kind):
        _require_keys(value, kind, at)


def _require_keys(value, kind, at):
    lacking = sorted(kind.__required_keys__ - value.keys())
    if lacking:
        raise ValueError(f"{at or 'it'} lacks {lacking[0]!r}")
    for key, inner in _hints(kind).items():
        if key in value:
            _require(value[key], inner, _inner(at, key))


@functools.cache
def _hints(kind):
    return typing.get_type_hints(kind, include_extras=True)


def _is_a(value, kind):
    plain = _plain(kind)
    if isinstance(value, bool):  # an int to Python, none to JSON
        return plain is bool
    return isinstance(value, int | float if plain is float else plain)


def _plain(kind):
    """The Python type that JSON gives for it."""
    if typing.get_origin(kind) is Annotated:
        return _plain(typing.get_args(kind)[0])
    return dict if typing.is_typeddict(kind) else typing.get_origin(kind) or kind


def _require_shallow(value):
    """What is nested deeper than ours could not be compared or shown."""
    level = [value]
    for _ in range(DEEPEST):
        level = [
            item
            for outer in level
            if isinstance(outer, dict | list)
            for item in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise ValueError(f"it is nested more than {DEEPEST} deep")


def _inner(at, key):
    shown = key if len(key) <= SHOWN else f"{key[:SHOWN]}..."
    return f"{at}.{shown}" if at else shown


def _in_words(kind):
    return WORDS[_plain(kind)]


def _must_be(value, at, wanted):
    if isinstance(value, dict | list):
        shown = f"{WORDS[type(value)]} of {len(value)}"
    else:
        shown = repr(value)
        shown = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}..."
    return f"{at or 'it'} must be {wanted}, got {shown}"
