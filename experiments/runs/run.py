"""Runs a recipe in a run folder: what is not finished yet, then the measurements.

What a run folder holds, and where, stands in `layout.py`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.recipe import Recipe
from experiments.runs.alone import alone
from experiments.runs.measured import measure
from experiments.runs.prepared import prepared
from experiments.runs.rows import write_rows
from experiments.runs.stage_run import run_stage, train_along
from experiments.training.strategies import all_at_work, from_chief, worker

if TYPE_CHECKING:
    import tensorflow as tf


def run(
    recipe: Recipe,
    out: Path,
    *,
    seeds: Sequence[int] = (0,),
    stages: Sequence[str] | None = None,
    command: str = "",
    strategy: "tf.distribute.Strategy | None" = None,
) -> Path:
    """Run what is not finished yet, measure, and write the rows; returns its folder.

    Between several machines the run folder is on a file system that they share: the
    chief writes it, runs and measures all that does not train, and the others train
    along.

    Args:
        recipe: what to run.
        out: the run folder; made if need be.
        seeds: the whole recipe is run for each.
        stages: names of the stages to run; None: all.
        command: how a person would ask for this run, for the record.
        strategy: of TensorFlow, by which devices train together; None: one trains.

    Raises:
        ValueError: the folder belongs to another recipe, or the data have changed
            since; there is no such stage, or a chosen stage needs one that is neither
            chosen nor finished.
        BlockingIOError: another process is running in that folder.
        ConnectionError: another worker has ended.
    """
    this = prepared(
        recipe, out, seeds=seeds, stages=stages, command=command, strategy=strategy
    )
    with all_at_work(strategy):
        if worker(strategy).is_chief:
            _run(this)
        else:
            _train_along(this)
    return this.folder.path


def _run(this):
    with alone(this.folder):
        this.write()
        this.note_environment()
        any_ran = False
        for seed in this.seeds:
            for stage in this.stages:
                any_ran |= run_stage(this, stage, seed)
                from_chief(this.strategy)  # now it is there
            measure(this, seed)
            write_rows(this.recipe, this.folder)
        if any_ran:  # else the record of what did run stays
            this.note_end()
        from_chief(this.strategy)


def _train_along(this):
    for seed in this.seeds:
        for stage in this.stages:
            train_along(this, stage, seed)
            from_chief(this.strategy)  # who has written it
    print("trained along; the chief measures what came of it", flush=True)
    from_chief(this.strategy)
