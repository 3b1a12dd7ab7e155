"""What an experiment is: frozen dataclasses, plain Python, no code hidden in text."""

import ast
import dataclasses
from dataclasses import dataclass, field
from typing import Any

from experiments.data.augment import Augment
from experiments.stages.base import Stage


@dataclass(frozen=True)
class Recipe:
    """An experiment: data, and stages that each read models and write one.

    Attributes:
        name: of the recipe.
        data: name of the dataset, as `experiments.data.load` takes it.
        stages: in the order in which they run; a stage may use earlier ones.
        augment: what training images go through.
        image_size: side in pixels to which images are resized; None: as they are.
        normalisation: (mean, std) of pixels from 0 to 1, a channel each, as published
            weights expect them; None: those of the train split.
        skip_bad_images: leave unreadable images of a folder out, instead of stopping.
        deterministic: TensorFlow's deterministic kernels: the same numbers, bit for
            bit, on the same machine with the same settings.
    """

    name: str
    data: str
    stages: tuple[Stage, ...]
    augment: Augment = field(default_factory=Augment)
    image_size: int | None = None
    normalisation: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    skip_bad_images: bool = False
    deterministic: bool = True

    def __post_init__(self):
        known = set()
        for stage in self.stages:
            for needed in stage.inputs:
                if needed not in known:
                    raise ValueError(
                        f"stage {stage.name!r} needs {needed!r}, which no earlier "
                        "stage makes"
                    )
            if stage.name in known:
                raise ValueError(f"two stages are called {stage.name!r}")
            known.add(stage.name)

    def stage(self, name: str) -> Stage:
        """The stage of that name.

        Raises:
            ValueError: there is none; lists the stages.
        """
        for stage in self.stages:
            if stage.name == name:
                return stage
        choices = ", ".join(stage.name for stage in self.stages)
        raise ValueError(f"no stage called {name!r}; choose from {choices}")

    def as_dict(self) -> dict[str, Any]:
        """The recipe as JSON has it; a stage's class stands under "kind"."""
        plain = {
            f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)
        }
        plain["stages"] = [
            {"kind": type(stage).__name__} | _plain(stage) for stage in self.stages
        ]
        return plain


def _plain(value):
    if dataclasses.is_dataclass(value):
        return {
            f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)
        }
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def smoke(recipe: Recipe) -> Recipe:
    """The same recipe with as few epochs as still exercise every part of it."""
    stages = []
    for stage in recipe.stages:
        if hasattr(stage, "training"):
            epochs = 1 if stage.name == "teacher" else 3
            training = dataclasses.replace(stage.training, epochs=epochs)
            stage = dataclasses.replace(stage, training=training)
        if hasattr(stage, "teaching") and stage.teaching.views is not None:
            views = min(stage.teaching.views, 2)
            teaching = dataclasses.replace(stage.teaching, views=views)
            stage = dataclasses.replace(stage, teaching=teaching)
        stages.append(stage)
    return dataclasses.replace(
        recipe, name=f"{recipe.name}-smoke", stages=tuple(stages)
    )


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
        stages = tuple(
            _set(stage, rest, text, path) if stage.name == head else stage
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


def _set(record, names, text, path):
    name, *rest = names
    if isinstance(record, dict):  # options of a net or a loss
        inner = record.get(name)
        deep = rest and isinstance(inner, dict)
        return {
            **record,
            name: _set(inner, rest, text, path) if deep else _parsed(text),
        }
    fields = [f.name for f in dataclasses.fields(record)]
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
