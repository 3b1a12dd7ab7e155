"""Other lengths and settings of a recipe: a smoke run, and `--set FIELD=VALUE`."""

import ast
import dataclasses

from experiments.recipe import Recipe
from experiments.runs.former import RENAMED

TEACHER_EPOCHS, EPOCHS = 1, 3  # of a smoke run; three, so that a schedule can move


def smoke(recipe: Recipe) -> Recipe:
    """The same recipe with as few epochs as still exercise every part of it."""
    teachers = {stage.teacher for stage in recipe.stages}
    stages = tuple(
        stage.shortened(TEACHER_EPOCHS if stage.name in teachers else EPOCHS)
        for stage in recipe.stages
    )
    return dataclasses.replace(recipe, name=f"{recipe.name}-smoke", stages=stages)


def replaced(recipe: Recipe, assignment: str) -> Recipe:
    """`recipe` with one field changed, as in `"teacher.training.epochs=3"`.

    The first word is a stage or a field of the recipe. A value is written as in
    Python; what is no Python value is a string.

    Raises:
        ValueError: the text is no assignment, there is no such field, or the value is
            of another type than the one it replaces.
    """
    path, sign, text = assignment.partition("=")
    if not sign:
        raise ValueError(f"expected FIELD=VALUE, got {assignment!r}")
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
        raise ValueError(
            f"no field or stage called {head!r} in {path!r}; choose from "
            f"{', '.join([*stages, *sorted(fields)])}"
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
            f"no field called {name!r} in {path!r}; choose from {', '.join(fields)}"
        )
    old = getattr(record, name)
    if rest:
        if not dataclasses.is_dataclass(old) and not isinstance(old, dict):
            raise ValueError(f"{name!r} in {path!r} has no fields")
        return dataclasses.replace(record, **{name: _set(old, rest, text, path)})
    value = _parsed(text)
    if isinstance(old, float) and type(value) is int:
        value = float(value)
    if old is not None and value is not None and type(value) is not type(old):
        raise ValueError(f"{path} is like {old!r}, it cannot be {text!r}")
    return dataclasses.replace(record, **{name: value})


def _parsed(text):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
