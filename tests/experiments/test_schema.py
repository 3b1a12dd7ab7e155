"""Values from JSON and the kinds that they must be of."""

from typing import Annotated, Any, TypedDict

import pytest

from experiments.schema import Count, Fraction, Rule, Size, require

Even = Annotated[int, Rule("that is even", lambda x: x % 2 == 0)]


class Part(TypedDict):
    name: str


class Whole(Part, total=False):
    parts: list[Part]
    sizes: dict[str, Size | None]
    once: bool


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("a", str),
        (3, int),
        (3, float),
        (True, bool),
        (None, int | None),
        ([[1], "x", {}], list[Any]),
        ({"a": 1, "b": 2.5}, dict[str, float]),
        ({"name": "a", "parts": [{"name": "b"}], "other": [[]]}, Whole),
        (4, Even),
        (float("nan"), Fraction | None),  # could not be measured
        (10**18, Count),
    ],
)
def test_values_that_fit(value, kind):
    require(value, kind)


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (1, str, "it must be a text, got 1"),
        (1.0, int, "it must be a whole number, got 1.0"),
        (True, int, "it must be a whole number, got True"),
        (True, float, "it must be a number, got True"),
        (1, bool, "it must be true or false, got 1"),
        ("x", int | None, "it must be a whole number or null, got 'x'"),
        ({}, list[int], "it must be a list, got an object of 0"),
        ([1, [2]], list[int], r"\[1\] must be a whole number, got a list of 1"),
        ({"a": "x"}, dict[str, float], "a must be a number, got 'x'"),
        ({}, Whole, "it lacks 'name'"),
        ({"name": "a", "parts": [{}]}, Whole, r"parts\[0\] lacks 'name'"),
        ({"name": "a", "sizes": {"b": -1}}, Whole, r"sizes\.b must be .* from 0 to"),
        ({"name": "a", "sizes": {"b": 10**400}}, Whole, r"sizes\.b must be .*\.\.\.$"),
        (3, Even, "it must be a whole number that is even, got 3"),
        (1.5, Fraction, "it must be a number from 0 to 1, got 1.5"),
    ],
)
def test_values_that_do_not_fit_are_named_with_their_place(value, kind, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        require(value, kind)


def test_values_nested_too_deep_for_comparing_and_showing_are_refused():
    deep = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(ValueError, match="nested more than 60 deep"):
        require(deep, Any)
