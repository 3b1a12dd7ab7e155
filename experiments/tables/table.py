"""Columns of summaries -> a table, and the same as text, Markdown and HTML."""

import re
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

WARNING = ' class="warning"'


class Cell(NamedTuple):
    """A value, and in `aside` how it compares with the teacher's."""

    text: str
    aside: str = ""


@dataclass(frozen=True)
class Column:
    """A heading, and what stands below it.

    Attributes:
        heading: of the column.
        of: function of a summary that gives its cell; None where the table is given
            its cells, see `Table`.
        numeric: aligned to the right.
        aside: what the cells' asides are.
    """

    heading: str
    of: Callable[[Any], Cell | str] | None = None
    numeric: bool = True
    aside: str = ""


@dataclass(frozen=True)
class Table:
    """Cells under columns, and the notes without which they must not be shown."""

    title: str
    columns: tuple[Column, ...]
    cells: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()


def tabulate(
    title: str,
    columns: Iterable[Column],
    summaries: Iterable[Any],
    notes: Iterable[str] = (),
) -> Table:
    """Every column of every summary: one line a summary.

    Args:
        title: of the table.
        columns: functions of a summary.
        summaries: `experiments.tables.summary.Summary`, or whatever else the columns
            are functions of.
        notes: empty ones are left out.
    """
    columns = tuple(columns)
    cells = tuple(
        tuple(_cell(column.of(summary)) for column in columns) for summary in summaries
    )
    return Table(title, columns, cells, tuple(note for note in notes if note))


def _cell(content):
    return content if isinstance(content, Cell) else Cell(content)


def as_text(table: Table, width: int = 110) -> str:
    """Aligned columns; a last column of words is wrapped to `width`."""
    grid = [[column.heading for column in table.columns]]
    grid += [[_one_line(cell.text) for cell in row] for row in table.cells]
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    numeric = [column.numeric for column in table.columns]
    if not numeric[-1]:
        widths[-1] = max(30, width - sum(widths[:-1]) - 2 * (len(widths) - 1))
    out = []
    for at, row in enumerate(grid):
        last = [row[-1]] if numeric[-1] else textwrap.wrap(row[-1], widths[-1]) or [""]
        for piece in range(len(last)):
            texts = [*(row[:-1] if piece == 0 else [""] * (len(row) - 1)), last[piece]]
            padded = [
                text.rjust(size) if right else text.ljust(size)
                for text, size, right in zip(texts, widths, numeric, strict=True)
            ]
            out.append("  ".join(padded).rstrip())
        if at == 0:
            out.append("-" * min(width, sum(widths) + 2 * (len(widths) - 1)))
    for note in table.notes:
        out += textwrap.wrap(_one_line(note), width)
    return "\n".join(out)


def as_markdown(table: Table) -> str:
    """A Markdown table and below it the notes."""
    heads = [
        column.heading + (f" ({column.aside})" if _has_asides(table, i) else "")
        for i, column in enumerate(table.columns)
    ]
    out = ["| " + " | ".join(heads) + " |"]
    out.append(
        "|" + "|".join("---:" if c.numeric else ":---" for c in table.columns) + "|"
    )
    for row in table.cells:
        texts = [
            escape_markdown(cell.text) + (f" ({cell.aside})" if cell.aside else "")
            for cell in row
        ]
        out.append("| " + " | ".join(texts) + " |")
    for note in table.notes:
        out += ["", escape_markdown(note)]
    return "\n".join(out) + "\n"


def as_html(table: Table) -> str:
    """A table with its notes, in one figure."""
    heads = "".join(
        f'<th scope="col"{_number(c)}>{escape(c.heading)}'
        + (f"<small>x {escape(c.aside)}</small>" if _has_asides(table, i) else "")
        + "</th>"
        for i, c in enumerate(table.columns)
    )
    rows = "".join(
        f'<tr><th scope="row">{escape(first.text)}</th>'
        + "".join(map(_html_cell, rest, table.columns[1:]))
        + "</tr>\n"
        for first, *rest in table.cells
    )
    notes = "".join(
        f"<p{WARNING if note.startswith('Note:') else ''}>{escape(note)}</p>"
        for note in table.notes
    )
    return (
        f'<figure class="table"><div class="scroll"><table>'
        f"<caption>{escape(table.title)}</caption>"
        f"<thead><tr>{heads}</tr></thead>\n<tbody>{rows}</tbody></table></div>"
        f"<figcaption>{notes}</figcaption></figure>"
    )


def _html_cell(cell, column):
    aside = f"<small>{escape(cell.aside)}</small>" if cell.aside else ""
    return f"<td{_number(column)}>{escape(cell.text)}{aside}</td>"


def _number(column):
    return ' class="number"' if column.numeric else ""


def _has_asides(table, at):
    return any(row[at].aside for row in table.cells)


def _one_line(text):
    return " ".join(str(text).split())


def escape_markdown(text: str) -> str:
    """`text` as Markdown shows it: no markup, no HTML, no end of a table's cell."""
    plain = escape(_one_line(text), quote=False)
    return re.sub(r"([\\|`*]|\](?=[(\[:]))", r"\\\1", plain)
