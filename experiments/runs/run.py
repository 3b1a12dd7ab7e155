"""Runs a recipe in a run folder: what is not finished yet, then the measurements.

What a run folder holds, and where, stands in `layout.py`.
"""

from collections.abc import Sequence
from pathlib import Path

from experiments.recipe import Recipe
from experiments.runs.alone import alone
from experiments.runs.measured import measure
from experiments.runs.prepared import prepared
from experiments.runs.rows import write_rows
from experiments.runs.stage_run import run_stage


def run(
    recipe: Recipe,
    out: Path,
    *,
    seeds: Sequence[int] = (0,),
    stages: Sequence[str] | None = None,
    command: str = "",
) -> Path:
    """Run what is not finished yet, measure, and write the rows; returns `out`.

    Args:
        recipe: what to run.
        out: the run folder; made if need be.
        seeds: the whole recipe is run for each.
        stages: names of the stages to run; None: all.
        command: how a person would ask for this run, for the record.

    Raises:
        ValueError: the folder belongs to another recipe, or the data have changed
            since; there is no such stage, or a chosen stage needs one that is neither
            chosen nor finished.
        BlockingIOError: another process is running in that folder.
    """
    this = prepared(recipe, out, seeds=seeds, stages=stages, command=command)
    with alone(this.folder):
        this.write()
        this.note_environment()
        any_ran = False
        for seed in this.seeds:
            for stage in this.stages:
                any_ran |= run_stage(this, stage, seed)
            measure(this, seed)
            write_rows(recipe, this.folder)
        if any_ran:  # else the record of what did run stays
            this.note_end()
    return out
