"""The pieces of a run: each stage for each seed, each seed's measurement, the report.

A stage with `once` is one piece, which all seeds share.
"""

from collections.abc import Callable
from contextlib import suppress

from experiments.runs.measured import is_measured, measure
from experiments.runs.prepared import Prepared
from experiments.runs.ready import Piece
from experiments.runs.rows import gathered, write_rows
from experiments.runs.stage_run import is_finished, run_stage
from experiments.stages.base import Stage


def pieces_of(this: Prepared, report: Callable[[], None] | None) -> list[Piece]:
    """Each after those that it needs.

    Measurements come last: latencies are best taken when others are idle.

    Args:
        this: the run.
        report: writes the report of the rows; None: there shall be none.
    """
    found: dict[str, Piece] = {}
    chosen = {stage.name for stage in this.stages}
    for seed in this.seeds:
        of_seed = []
        for stage in this.stages:
            inputs = [this.recipe.stage(name) for name in stage.inputs]
            own = 0 if stage.once else seed
            needs = tuple(_name(s, own) for s in inputs if s.name in chosen)
            piece = _stage_piece(this, stage, seed, needs)
            found.setdefault(piece.name, piece)
            of_seed.append(piece.name)
        found[f"seed{seed}-measure"] = _measurement(this, seed, tuple(of_seed))
    measurements = tuple(f"seed{seed}-measure" for seed in this.seeds)
    return [*found.values(), _report(this, measurements, report)]


def _name(stage: Stage, seed: int):
    return f"{'once' if stage.once else f'seed{seed}'}-{stage.name}"


def _stage_piece(this, stage, seed, needs):
    own = 0 if stage.once else seed
    return Piece(
        name=_name(stage, seed),
        words=f"[seed {own}] {stage.name}",
        needs=needs,
        finished=lambda: is_finished(this, stage, seed),
        run=lambda require: run_stage(this, stage, seed, require),
        error=this.home(stage, seed).error,
    )


def _measurement(this, seed, needs):
    def run(require):
        measure(this, seed, require)
        with suppress(FileNotFoundError):  # another seed is being put in its place
            write_rows(this.recipe, this.folder)  # so far; the last piece knows all

    return Piece(
        name=f"seed{seed}-measure",
        words=f"[seed {seed}] measure",
        needs=needs,
        finished=lambda: is_measured(this, seed),
        run=run,
        error=this.folder.measure(seed).error,
        last=True,
    )


def _report(this, needs, report):
    """Gathers the rows once all are there, when nobody else does, and reports them."""
    folder = this.folder

    def is_written():
        rows, page = folder.rows, folder.page
        if not rows.exists() or rows.read_text() != gathered(this.recipe, folder):
            return False
        if report is None:
            return True
        return page.exists() and page.stat().st_mtime >= rows.stat().st_mtime

    def run(require):
        require()
        write_rows(this.recipe, folder)
        if report is not None:
            report()

    return Piece(
        name="report",
        words="rows" if report is None else "rows and report",
        needs=needs,
        finished=is_written,
        run=run,
        error=folder.error,
        last=True,
    )
