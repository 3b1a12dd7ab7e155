"""Measures the finished stages of a seed together, unless these files were measured."""

import dataclasses
import shutil
from collections.abc import Callable

import keras

from experiments.files import write_json
from experiments.runs.fingerprints import of_file, seal
from experiments.runs.layout import StageFolder, partial
from experiments.runs.measuring import measured_rows
from experiments.runs.prepared import Prepared
from experiments.runs.stage_run import put_in_place
from experiments.stages.base import Stage


def is_measured(this: Prepared, seed: int) -> bool:
    """Whether there is nothing to measure: no finished stage, or no other files."""
    return _is_measured(this, seed, _finished(this, seed))


def measure(
    this: Prepared, seed: int, require: Callable[[], None] | None = None
) -> None:
    """Measure what is finished, unless that was done; `require` as `run_stage` has it.

    That these files are still what they were, whoever gathers the rows looks.
    """
    finished = _finished(this, seed)
    if _is_measured(this, seed, finished):
        return
    print(f"[seed {seed}] measure: every exported file on the test images", flush=True)
    done = this.folder.measure(seed)
    unfinished = dataclasses.replace(done, path=partial(done.path))
    shutil.rmtree(unfinished.path, ignore_errors=True)
    unfinished.path.mkdir(parents=True)
    keras.backend.clear_session()
    found = measured_rows(finished, this.data, unfinished, this.folder)
    if require is not None:
        require()
    write_json(unfinished.rows, [row | {"seed": seed} for row in found])
    seal(unfinished, {})
    put_in_place(unfinished, done)


def files_of(rows: list[dict]) -> list[str | None]:
    """Fingerprints of the files that were measured; None from earlier versions."""
    return [file.get("sha256") for row in rows for file in row["files"]]


def _finished(this: Prepared, seed: int) -> dict[Stage, StageFolder]:
    """Stages that have something to be measured, whenever they were run."""
    homes = {s: this.home(s, seed) for s in this.recipe.stages if s.exports}
    return {s: home for s, home in homes.items() if this.folder.has(home.path)}


def _is_measured(this, seed, finished):
    if not finished:
        return True
    done = this.folder.measure(seed)
    return this.folder.has(done.rows) and files_of(done.read_rows()) == [
        of_file(home.exported(form.format, form.precision))
        for stage, home in finished.items()
        for form in stage.exports
    ]
