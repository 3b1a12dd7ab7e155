"""Runs a recipe with the options of the command line and shows its report."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.cli import report
from experiments.cli.options import names

if TYPE_CHECKING:  # it needs Keras
    from experiments.recipe import Recipe


def run_recipe(
    recipe: "Recipe",
    options: argparse.Namespace,
    folder_name: Callable[["Recipe"], str] = lambda recipe: recipe.name,
) -> None:
    """Run the recipe as `options.add_run_options` lets one ask, then show the report.

    Args:
        recipe: before `--smoke` and `--set`.
        options: with the words of the command in `command_line`.
        folder_name: of the recipe that is run, where `--out` is not given.
    """
    from experiments.overrides import replaced, smoke
    from experiments.runs.run import run

    if options.smoke:
        recipe = smoke(recipe)
    for assignment in options.set:
        recipe = replaced(recipe, assignment)
    out = options.out or Path("runs") / folder_name(recipe)
    run(
        recipe,
        out,
        seeds=range(options.seeds),
        stages=names(options.stages),
        command=options.command_line,
    )
    print()
    report.show(out)


def data_in_paths(name: str) -> str:
    """A dataset's name as a part of a folder's; of a path its last part."""
    for kind in ("folder:", "csv:", "npz:", "unlabelled:"):
        name = name.removeprefix(kind)
    return name.rstrip("/").rpartition("/")[2].replace(":", "-")
