"""An order: a recipe, for which seeds; written by whoever gives it, read by workers.

recipe.json is what a run is. What a run is not, order.json has: how many seeds were
asked for last, which stages, with which command, where model files lie that the
recipe knows by their content alone, and where images lie that it names by a path.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments.data.some_classes import parsed
from experiments.recipe import Recipe
from experiments.runs.identity import kind_of
from experiments.runs.layout import RunFolder
from experiments.runs.read_back import read_back
from experiments.stages.file import File


class Order(NamedTuple):
    """What to run."""

    recipe: Recipe
    seeds: tuple[int, ...]
    stages: list[str]
    command: str


def made(
    recipe: Recipe, seeds: Sequence[int], stages: Sequence[str], command: str
) -> dict[str, Any]:
    """As order.json has it."""
    files = [stage.start for stage in recipe.stages if isinstance(stage.start, File)]
    return {
        "command": command,
        "seeds": list(seeds),
        "stages": list(stages),
        "files": {file.sha256: str(Path(file.path).absolute()) for file in files},
        "data": {
            name: f"{found.kind}{found.path.absolute()}{found.classes}"
            for name in sorted(
                {recipe.data, *(s.data for s in recipe.stages if s.data)}
            )
            if (found := _located(name)) is not None
        },
    }


def read(folder: RunFolder) -> Order:
    """The order of a run folder.

    Raises:
        FileNotFoundError: it is no run folder, or a model file is not where it was.
        ValueError: a record cannot be read, or is of another version of limbeck.
    """
    folder.require()
    record = folder.read_recipe()
    found = folder.read_order() if folder.order.is_file() else {}
    recipe = read_back(record, files=found.get("files", {}), source=folder.recipe)
    recipe = _there(recipe, found.get("data", {}))
    seeds = tuple(found.get("seeds") or folder.seeds() or (0,))
    stages = found.get("stages") or [stage.name for stage in recipe.stages]
    command = found.get("command") or _command(folder)
    return Order(recipe, seeds, stages, command)


def _there(recipe: Recipe, known: Mapping[str, str]) -> Recipe:
    """The recipe with images where they lie, if this is another working folder."""

    def there(name):
        found = _located(name)
        lost = found is not None and not found.path.exists()
        return known.get(name, name) if lost else name

    stages = tuple(
        dataclasses.replace(stage, data=there(stage.data)) if stage.data else stage
        for stage in recipe.stages
    )
    return dataclasses.replace(recipe, data=there(recipe.data), stages=stages)


class _Located(NamedTuple):
    """A dataset that is called by its path: "folder:", "photos", "[cat,dog]"."""

    kind: str
    path: Path
    classes: str


def _located(name):
    """None of a dataset that is called otherwise."""
    kind = kind_of(name)
    if kind is None:
        return None
    path, classes = Path(name.removeprefix(kind)).expanduser(), ""
    if not path.exists():
        base, classes = parsed(name)
        path = Path(base.removeprefix(kind)).expanduser()
    return _Located(kind, path, classes)


def _command(folder):
    """Of runs that earlier versions began."""
    if not folder.environment.is_file():
        return ""
    return folder.read_environment().get("command") or ""
