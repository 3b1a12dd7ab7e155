"""A run folder's rows and records -> tables, pictures, one HTML page and Markdown.

    folder.py      what a run folder holds, read and checked
    lines.py       rows -> one line a stage, or a file, over its seeds
    comparison.py  how much smaller a line is than another, and what moved
    units.py       numbers as people read them
    tables.py      lines -> tables, as text, Markdown and HTML
    pareto.py, curves.py, disagreements.py     the pictures; drawing.py makes the SVG
    papers.py, hinton2015.py, distill_methods.py   tables of published experiments
    callouts.py          names beside points
    page.py, markdown.py, style.py             the two documents

Nothing here runs a model: no number is shown that a run did not write.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from compression.atomic import replacing
from experiments.report import markdown, page, papers, tables, terminal
from experiments.report.comparison import teacher_of
from experiments.report.folder import read
from experiments.tables.summary import stage_lines
from experiments.tables.table import as_markdown

__all__ = ["markdown_table", "summary", "write"]

TERMINAL = 110  # columns


def summary(run: Path) -> str:
    """The run's tables as text for the terminal.

    Raises:
        FileNotFoundError: `run` is not a run folder.
        ValueError: a record is malformed, or a stage's rows mix nets or data.
    """
    return terminal.summary(read(Path(run)), width=TERMINAL)


def write(run: Path) -> Path:
    """Write `report.html` and `report.md` into the run folder; returns the former.

    Both are made before either is written, and each takes the old one's place whole.

    Raises:
        FileNotFoundError: `run` is not a run folder.
        ValueError: a record is malformed, or a stage's rows mix nets or data.
    """
    found = read(Path(run))
    texts = {"report.md": markdown.document(found), "report.html": page.document(found)}
    for name, text in texts.items():
        with replacing(found.path / name) as beside:
            beside.write_text(text, encoding="utf-8")
    return found.path / "report.html"


def markdown_table(
    rows: Sequence[Mapping[str, Any]],
    *,
    recipe: str | None = None,
    teacher: str | None = None,
    note: str = "",
) -> str:
    """The rows of a run as a Markdown table: one line a stage, ratios to the teacher.

    Where the recipe repeats a paper, its own tables beside the paper's figures.

    Args:
        rows: as in `rows.jsonl`; stages stand in the order in which they first come.
        recipe: name of the recipe that was run.
        teacher: the stage that the others are compared with; None: the first.
        note: what must be said of the data at every table.

    Raises:
        ValueError: a stage's rows mix nets or data, or there is no such teacher.
    """
    lines = stage_lines(rows)
    if teacher is not None and teacher not in [line.stage for line in lines]:
        raise ValueError(f"no stage called {teacher!r} in these rows")
    if paper := papers.paper_of(recipe, lines):
        return "\n".join(map(as_markdown, paper.tables(lines)))
    compared = teacher_of(lines, teacher)
    return as_markdown(tables.stage_table(lines, compared, notes=[note]))
