"""Takes part in a run: any number of processes and machines share one run folder."""

from collections.abc import Callable, Sequence
from pathlib import Path

from compression.arguments import as_path
from compression.atomic import remove_leftovers
from experiments.recipe import Recipe
from experiments.runs import order
from experiments.runs.alone import among
from experiments.runs.layout import RunFolder
from experiments.runs.pieces import pieces_of
from experiments.runs.prepared import Prepared, prepared
from experiments.runs.work import POLL, Outcome, work


def take_part(
    out: Path,
    *,
    seeds: Sequence[int] | None = None,
    stages: Sequence[str] | None = None,
    wait: bool = True,
    report: Callable[[], None] | None = None,
) -> Outcome:
    """Do what is ready of a run folder that is there, beside others who do the same.

    Args:
        out: the run folder.
        seeds: None: those that were asked for last.
        stages: names of the stages to run; None: likewise.
        wait: for others who are at work; False: end where nothing is left to take.
        report: writes the report, once all rows are there; None: nobody does.

    Raises:
        FileNotFoundError: it is no run folder.
        ValueError: its recipe cannot be read back, or as `run.run` says.
        BlockingIOError: a process works there by itself.
        OSError, MemoryError: as `work`.
        TimeoutError: others thought this process dead.
    """
    found = order.read(RunFolder(as_path(out)))
    this = prepared(
        found.recipe,
        out,
        seeds=found.seeds if seeds is None else seeds,
        stages=found.stages if stages is None else stages,
        command=found.command,
    )
    return _shared(this, wait=wait, report=report)


def share(
    recipe: Recipe,
    out: Path,
    *,
    seeds: Sequence[int] = (0,),
    stages: Sequence[str] | None = None,
    command: str = "",
    wait: bool = True,
    report: Callable[[], None] | None = None,
) -> Outcome:
    """Likewise with a recipe of one's own program, whose stages nobody else may know.

    Args and errors are those of `run.run` and `take_part`.
    """
    this = prepared(recipe, out, seeds=seeds, stages=stages, command=command)
    return _shared(this, wait=wait, report=report)


def _shared(this: Prepared, *, wait, report, poll=POLL):
    with among(this.folder) as claims:
        this.write_what_is_missing()
        this.note_environment()
        is_shown = any(stage.exports for stage in this.stages)
        pieces = pieces_of(this, report if is_shown else None)
        found = work(pieces, claims, wait=wait, poll=poll, say=_say)
        if found.done:
            this.note_end()
        claims.tidy(found.finished)
        if len(found.finished) == len(pieces) and not claims.present():
            remove_leftovers(this.folder.path)  # of writers that were killed
    return found


def _say(line):
    print(line, flush=True)
