"""A run folder's rows and records -> tables, pictures, one HTML page and Markdown.

    folder.py       what a run folder holds, read and checked
    comparison.py   how many times smaller one summary is than another, and what moved
    tables.py       summaries -> the tables of a report
    papers.py       which experiment's own tables belong to a run
    searched.py     what a search tried
    story.py        what a stage did: its settings and what came of them
    pareto.py, curves.py, disagreements.py   the pictures
    page.py, markdown.py, terminal.py        the documents; style.py, the page's CSS
    side_by_side.py several runs in one table and one plot

Nothing here runs a model: every number shown was written by a run. No stage is known
here by its kind or name: what is particular to it stands in the run's `stages.json`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from compression.arguments import as_path
from compression.atomic import replacing
from experiments.report import (
    markdown,
    page,
    papers,
    pareto,
    side_by_side,
    tables,
    terminal,
)
from experiments.report.comparison import teacher_of
from experiments.report.folder import read
from experiments.runs.layout import RunFolder
from experiments.tables.summary import stage_summaries
from experiments.tables.table import as_markdown

__all__ = ["compared", "markdown_table", "pictures", "summary", "write"]

TERMINAL = 110  # columns


def summary(run: Path) -> str:
    """The run's tables as text for the terminal.

    Raises:
        FileNotFoundError: `run` is not a run folder.
        ValueError: a record is malformed, or a stage's rows mix nets or data.
    """
    return terminal.summary(read(as_path(run)), width=TERMINAL)


def write(run: Path) -> Path:
    """Write `report.html` and `report.md` into the run folder; returns the former.

    Both are made before either is written, and each replaces the old one as a whole.

    Raises:
        FileNotFoundError: `run` is not a run folder.
        ValueError: a record is malformed, or a stage's rows mix nets or data.
    """
    paths, found = RunFolder(as_path(run)), read(as_path(run))
    texts = {paths.markdown: markdown.document(found), paths.page: page.document(found)}
    for path, text in texts.items():
        with replacing(path) as beside:
            # A name that is no text, from an odd file system, is shown by its bytes.
            beside.write_text(text, encoding="utf-8", errors="backslashreplace")
    return paths.page


def compared(runs: Sequence[Path], out: Path | None = None) -> str:
    """Several runs' stages in one table, as text for the terminal.

    Args:
        runs: folders of runs.
        out: an HTML page to write, with plots; None: none.

    Raises:
        FileNotFoundError: one of them is not a run folder.
        ValueError: a record is malformed, or a run stands there twice.
    """
    found = side_by_side.together([as_path(run) for run in runs])
    text = side_by_side.summary(found, TERMINAL)
    if out is not None:
        document = side_by_side.document(found)
        with replacing(as_path(out)) as beside:
            beside.write_text(document, encoding="utf-8", errors="backslashreplace")
    return text


def markdown_table(
    rows: Sequence[Mapping[str, Any]],
    *,
    recipe: str | None = None,
    teacher: str | None = None,
    note: str = "",
) -> str:
    """The rows of a run as a Markdown table: one line a stage, ratios to the teacher.

    Where the recipe belongs to an experiment with tables of its own, these.

    Args:
        rows: as in `rows.jsonl`; stages come in the order of their first rows.
        recipe: name of the recipe that was run.
        teacher: the stage that the others are compared with; None: the first.
        note: about the data, to stand at every table.

    Raises:
        ValueError: a stage's rows mix nets or data, or there is no such teacher.
    """
    summaries = stage_summaries(rows)
    if teacher is not None and teacher not in [each.stage for each in summaries]:
        raise ValueError(f"no stage called {teacher!r} in these rows")
    if paper := papers.paper_of(recipe, summaries):
        return "\n".join(map(as_markdown, paper.tables(summaries)))
    compared = teacher_of(summaries, teacher)
    return as_markdown(tables.stage_table(summaries, compared, notes=[note]))


def pictures(rows: Sequence[Mapping[str, Any]], recipe: str | None) -> list[str]:
    """The pictures of a run's rows, as SVG: accuracy against size and latency.

    Where the recipe belongs to an experiment with pictures of its own, these.

    Args:
        rows: as in `rows.jsonl`.
        recipe: name of the recipe that was run.

    Raises:
        ValueError: a stage's rows mix nets or data.
    """
    summaries = stage_summaries(rows)
    paper = papers.paper_of(recipe, summaries)
    return paper.pictures(summaries) if paper else pareto.pictures(summaries)
