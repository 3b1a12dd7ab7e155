"""Runs a recipe with the options of the command line and shows its report."""

import argparse
import contextlib
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.cli import report
from experiments.cli.options import names

if TYPE_CHECKING:  # it needs Keras
    from experiments.recipe import Recipe


def run_recipe(
    recipe: "Recipe",
    options: argparse.Namespace,
    *,
    words: Sequence[str] | None = None,
) -> None:
    """Run the recipe as `options.add_run_options` lets one ask, then show the report.

    Args:
        recipe: before `--smoke` and `--set`.
        options: with the words of the command in `command_line`.
        words: between the recipe's name and that of the data in the name of the run
            folder, where `--out` is not given; None: the recipe's name alone.
    """
    from experiments.overrides import all_replaced, smoke

    if options.smoke:
        recipe = smoke(recipe)
    recipe = all_replaced(recipe, options.set)
    name = [recipe.name]
    if words is not None:
        name += [*words, data_in_paths(recipe.data)]
    out = options.out or Path("runs") / "-".join(name)
    if options.prepare:
        _prepare(recipe, out, options)
        return
    if getattr(options, "json", False):
        with contextlib.redirect_stdout(sys.stderr):  # progress
            is_written = _run(recipe, out, options)
        if is_written:
            _show_json(out)
        return
    if not _run(recipe, out, options):
        return
    print()
    if any(stage.exports for stage in recipe.stages):
        report.show(out)
    else:
        print(f"Nothing was to be measured. Models: {out / 'stages'}")


def _run(recipe, out, options):
    """Whether it was this process that wrote the rows: of many workers the chief."""
    from experiments.runs.run import run
    from experiments.training.strategies import worker

    run(
        recipe,
        out,
        seeds=range(options.seeds),
        stages=names(options.stages),
        command=options.command_line,
        strategy=options.strategy,
    )
    return worker(options.strategy).is_chief


def _prepare(recipe, out, options):
    from experiments.runs.prepared import prepare

    prepare(
        recipe,
        out,
        seeds=range(options.seeds),
        stages=names(options.stages),
        command=_without_prepare(options.command_line),
    )
    print(f"Ready, for any number of: limbeck work {shlex.quote(str(out))}")


def _without_prepare(command):
    """What the run's record names: this command runs it, too."""
    return shlex.join(word for word in shlex.split(command) if word != "--prepare")


def _show_json(out):
    """The rows of the run, after its report was written."""
    from experiments import report
    from experiments.runs.layout import RunFolder

    rows = RunFolder(out).read_rows()
    page = str(report.write(out)) if rows else None
    print(json.dumps({"run": str(out), "report": page, "rows": rows}, indent=1))


def data_in_paths(name: str) -> str:
    """A dataset's name as a part of a folder's; of a path its last part."""
    from experiments.data.colours import CHANNELS
    from experiments.data.kinds import BY_PATH

    for kind in (*CHANNELS, *BY_PATH):
        name = name.removeprefix(f"{kind}:")
    return name.rstrip("/").rpartition("/")[2].replace(":", "-")
