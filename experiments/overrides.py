"""Other lengths and settings of a recipe: a smoke run, and `--set FIELD=VALUE`."""

import ast
import collections.abc
import contextlib
import dataclasses
import typing
from collections.abc import Sequence

from compression.nearest import did_you_mean
from experiments.recipe import Recipe
from experiments.runs.former import RENAMED
from experiments.value_types import is_union

TEACHER_EPOCHS, EPOCHS = 1, 3  # of a smoke run; three, so that a schedule can move


def smoke(recipe: Recipe) -> Recipe:
    """The same recipe with as few epochs as still exercise every part of it."""
    teachers = {stage.teacher for stage in recipe.stages}
    stages = tuple(
        stage.shortened(TEACHER_EPOCHS if stage.name in teachers else EPOCHS)
        for stage in recipe.stages
    )
    return dataclasses.replace(recipe, name=f"{recipe.name}-smoke", stages=stages)


def all_replaced(recipe: Recipe, assignments: Sequence[str]) -> Recipe:
    """`recipe` with several fields changed, each as `replaced` does it.

    In any order: what does not go with what is there waits for the others. Of two that
    set the same field the later one stays.

    Raises:
        ValueError: as `replaced`, of the first that cannot be.
    """
    waiting = list(assignments)
    while waiting:
        errors = {}
        for assignment in waiting:
            try:
                recipe = replaced(recipe, assignment)
            except ValueError as error:
                errors[assignment] = error
        if len(errors) == len(waiting):
            raise errors[waiting[0]]
        waiting = list(errors)
    return recipe


def replaced(recipe: Recipe, assignment: str) -> Recipe:
    """`recipe` with one field changed, as in `"teacher.training.epochs=3"`.

    The first word is a stage or a field of the recipe. A value is written as in
    Python, true, false and none in any case; what is no Python value is a text.

    Raises:
        ValueError: the text is no assignment, there is no such field, or the value is
            of another type than the field or refused by its stage; names the field.
    """
    path, sign, text = assignment.partition("=")
    if not sign:
        raise ValueError(f"expected FIELD=VALUE, got {assignment!r}")
    try:
        return _replaced(recipe, path, text)
    except ValueError as error:
        if path.strip() in str(error):
            raise
        raise ValueError(f"{path.strip()}: {error}") from error


def _replaced(recipe, path, text):
    head, *rest = path.strip().split(".")
    if rest and any(stage.name == head for stage in recipe.stages):
        names = _today(rest)
        stages = tuple(
            _set(stage, names, text, path) if stage.name == head else stage
            for stage in recipe.stages
        )
        return dataclasses.replace(recipe, stages=stages)
    fields = {f.name for f in dataclasses.fields(recipe)} - {"stages", "name"}
    if head not in fields:
        stages = [stage.name for stage in recipe.stages]
        known = [*stages, *sorted(fields)]
        raise ValueError(
            f"no field or stage called {head!r} in {path!r}"
            f"{did_you_mean(head, known)}; choose from {', '.join(known)}"
        )
    return _set(recipe, [head, *rest], text, path)


def _today(names: list[str]) -> list[str]:
    """Fields of a stage as they are called now: commands that people kept still run."""
    return [*RENAMED.get(names[0], names[:1]), *names[1:]]


def _set(record, names, text, path):
    name, *rest = names
    if isinstance(record, dict):  # options of a net or a loss
        inner = record.get(name)
        deep = rest and isinstance(inner, dict)
        return {
            **record,
            name: _set(inner, rest, text, path) if deep else _parsed(text),
        }
    fields = [f.name for f in dataclasses.fields(record) if f.init]
    if name not in fields:
        raise ValueError(
            f"no field called {name!r} in {path!r}{did_you_mean(name, fields)}; choose "
            f"from {', '.join(fields)}"
        )
    if rest:
        old = getattr(record, name)
        if not dataclasses.is_dataclass(old) and not isinstance(old, dict):
            raise ValueError(f"{name!r} in {path!r} has no fields")
        return dataclasses.replace(record, **{name: _set(old, rest, text, path)})
    hint = typing.get_type_hints(type(record))[name]
    return dataclasses.replace(record, **{name: _fitting(hint, text, path)})


def _fitting(hint, text, path):
    """`text` as the first kind of value that it can be, or an error."""
    kinds = typing.get_args(hint) if is_union(hint) else (hint,)
    if type(None) in kinds and _parsed(text) is None:
        return None  # which would be a text, too
    for kind in kinds:
        with contextlib.suppress(ValueError, TypeError, OverflowError):
            return _as(kind, text)
    wanted = " or ".join(_in_words(kind) for kind in kinds)
    raise ValueError(f"{path} must be {wanted}, got {text!r}")


def _as(kind, text):
    """`text` as a value of that type; ValueError or TypeError where it is none."""
    value = _parsed(text)
    origin = typing.get_origin(kind)
    if kind is str:
        return value if isinstance(value, str) else text
    if kind is float and type(value) is int:
        return float(value)
    if origin is tuple:
        item, *_ = typing.get_args(kind)
        if not isinstance(value, tuple | list):
            raise ValueError(text)
        return tuple(_as(item, repr(part)) for part in value)
    plain = collections.abc.Mapping if origin is collections.abc.Mapping else kind
    if plain is not type(value) and not (origin and isinstance(value, plain)):
        raise ValueError(text)
    return value


def _in_words(kind):
    if typing.get_origin(kind) is tuple:
        return "a tuple, as (1, 2)"
    words = {int: "a whole number", float: "a number", bool: "true or false"}
    words |= {str: "a text", type(None): "none"}
    return words.get(kind, "a record whose fields are set one by one")


def _parsed(text):
    """A Python value; true, false and none in any case; what is neither is a text."""
    words = {"true": True, "false": False, "none": None}
    if text.strip().lower() in words:
        return words[text.strip().lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text  # all of these are of texts that are no Python value
