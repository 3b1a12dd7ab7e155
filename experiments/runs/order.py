"""An order: a recipe, for which seeds; written by whoever gives it, read by workers.

recipe.json is what a run is. What a run is not, order.json has: how many seeds were
asked for last, which stages, with which command, and where model files lie that the
recipe knows by their content alone.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments.recipe import Recipe
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
    seeds = tuple(found.get("seeds") or folder.seeds() or (0,))
    stages = found.get("stages") or [stage.name for stage in recipe.stages]
    command = found.get("command") or _command(folder)
    return Order(recipe, seeds, stages, command)


def _command(folder):
    """Of runs that earlier versions began."""
    if not folder.environment.is_file():
        return ""
    return folder.read_environment().get("command") or ""
