"""What `limbeck reproduce hinton2015` measured, beside the figures of the paper.

Hinton, Vinyals, Dean (2015), https://arxiv.org/abs/1503.02531, section 3.
"""

from collections.abc import Sequence
from typing import NamedTuple

from experiments.tables import svg as drawing
from experiments.tables import units
from experiments.tables.summary import Line
from experiments.tables.table import Cell, Column, Table

THREE = 3  # the digit that one transfer set lacks
MANY = 0.05  # more errors than this fraction are given in percent, as in the paper


class Published(NamedTuple):
    """A figure of the paper as it stands there; "" where it gives none."""

    errors: str
    on_threes: str = ""
    shift: str = ""


PUBLISHED = {
    "teacher": Published("67"),
    "student": Published("146"),
    "distill": Published("74"),
    "without_3": Published("206", "133"),
    "without_3_bias": Published("109", "14", "+3.5"),
    "only_7_8": Published("47.3 %"),
    "only_7_8_bias": Published("13.2 %", shift="-7.6"),
}
TEACHING = {
    "teacher": "1200-1200; dropout, max-norm, jitter",
    "student": "800-800; labels alone",
    "distill": "800-800; soft targets",
    "without_3": "the same without any 3",
    "without_3_bias": "bias of 3 shifted",
    "only_7_8": "the same with 7s and 8s only",
    "only_7_8_bias": "biases of 7 and 8 shifted",
}
NARROW = "units30"  # the stage that learned from labels alone; `units30_t4` was taught


def tables(lines: Sequence[Line]) -> list[Table]:
    """Nets and transfer sets, then temperatures; those that have lines."""
    made = []
    if any(line.stage in PUBLISHED for line in lines):
        made.append(_beside_the_paper(lines))
    if narrow := _narrow(lines):
        made.append(_temperatures(narrow))
    return made


def pictures(lines: Sequence[Line]) -> list[str]:
    """Test errors of the narrow students over the temperature, as SVG."""
    narrow = _narrow([line for line in lines if line.values("errors")])
    taught = {t: line for t, line in narrow.items() if t is not None}
    if len(taught) < 2:
        return []
    figure, plot = drawing.axes(420, 240)
    colour = drawing.SERIES[0]
    for temperature, line in taught.items():
        errors = line.values("errors")
        plot.plot([temperature] * len(errors), errors, "o", ms=4, mfc="none", c=colour)
    means = {t: line.mean("errors") for t, line in taught.items()}
    plot.plot(*zip(*means.items(), strict=True), "-o", c=colour, ms=6)
    if None in narrow:
        alone = narrow[None].mean("errors")
        plot.axhline(alone, color=drawing.FAINT, lw=1, ls=(0, (4, 2)))
        plot.annotate(
            "labels alone", (max(taught), alone), (0, 3), textcoords="offset points",
            ha="right", color=drawing.INK, fontsize=9,
        )  # fmt: skip
    plot.set_xscale("log")
    plot.set_xticks(list(taught), [f"{t:g}" for t in taught])
    plot.set_xticks([], minor=True)
    errors_of = "test errors, two layers of 30 units; open circles: seeds"
    drawing.caption_axes(plot, x="temperature", y=errors_of)
    said = ", ".join(f"{mean:.0f} at {t:g}" for t, mean in means.items())
    alt = f"Mean test errors of students with 30 units a layer by temperature: {said}."
    return [drawing.inline_svg(figure, name="temperatures", alt=alt)]


def _beside_the_paper(lines):
    columns = (
        Column("stage", numeric=False),
        Column("net and what it learns from", numeric=False),
        Column("test errors"),
        Column("of them 3s"),
        Column("shift"),
        Column("n"),
        Column("paper: errors"),
        Column("of them 3s"),
        Column("shift"),
    )
    cells = [
        (
            Cell(line.stage),
            Cell(TEACHING[line.stage]),
            Cell(_errors(line)),
            Cell(_threes(line)),
            Cell(_shift(line)),
            Cell(str(len(line.values("errors")))),
            *map(Cell, PUBLISHED[line.stage]),
        )
        for line in lines
        if line.stage in PUBLISHED
    ]
    notes = (
        "Test errors: of 10,000 images, mean ± sample standard deviation over n seeds. "
        "Paper: quoted from Hinton, Vinyals, Dean (2015), arXiv:1503.02531, section 3.",
        "Shift: added to the output biases of the classes named. Ours is the one that "
        "gets most validation images right; the paper's was chosen on the test images.",
    )
    title = "Nets and transfer sets, beside the paper's figures"
    return Table(title, columns, tuple(cells), notes)


def _temperatures(narrow):
    columns = [Column("30-30 units", numeric=False)]
    columns += [Column("labels alone" if t is None else f"T = {t:g}") for t in narrow]
    row = [Cell("test errors"), *(Cell(_errors(line)) for line in narrow.values())]
    note = (
        "Soft targets alone at temperature T. The paper gives no errors: with 30 units "
        "a layer, temperatures from 2.5 to 4 worked significantly better than higher "
        "or lower ones."
    )
    return Table(
        "Narrow students by temperature", tuple(columns), (tuple(row),), (note,)
    )


def _narrow(lines):
    """Temperature -> line, lowest first; None -> the one that had labels alone."""
    found = {}
    for line in lines:
        name, _, temperature = line.stage.partition("_t")
        if name == NARROW:
            found[float(temperature) if temperature else None] = line
    return dict(sorted(found.items(), key=lambda item: item[0] or 0))


def _errors(line):
    mean, spread, images = (
        line.mean("errors"), line.deviation("errors"), line.mean("examples")
    )  # fmt: skip
    if mean is None:
        return units.NOTHING
    if mean > MANY * images:
        percent = None if spread is None else spread / images
        return f"{units.percent(mean / images, percent)} %"
    return f"{mean:.1f}" + ("" if spread is None else f" ± {spread:.1f}")


def _threes(line):
    if not PUBLISHED[line.stage].on_threes:
        return ""
    each = [row["errors_by_class"][THREE] for row in line.rows]
    return f"{sum(each) / len(each):.1f}"


def _shift(line):
    mean, spread = line.mean("bias_shift"), line.deviation("bias_shift")
    if mean is None:
        return ""
    return f"{mean:+.1f}" + ("" if spread is None else f" ± {spread:.1f}")
