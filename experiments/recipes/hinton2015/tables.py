"""What `limbeck reproduce hinton2015` measured, beside the figures of the paper.

Hinton, Vinyals, Dean (2015), https://arxiv.org/abs/1503.02531, section 3.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from experiments.tables import svg, units
from experiments.tables.summary import Summary
from experiments.tables.table import Column, Table, tabulate

DATA = "mnist"
THREE = 3  # the digit that one transfer set lacks
MANY = 0.05  # more errors than this fraction are given in percent, as in the paper
# `units30` learned from labels alone, `units30_t4` from a teacher at T = 4.
NARROW = re.compile(r"units30(?:_t(\d+(?:\.\d+)?))?")


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
NOTHING = Published("")
LEARNS_FROM = {
    "teacher": "1200-1200; dropout, max-norm, jitter",
    "student": "800-800; labels alone",
    "student_jittered": "800-800; labels alone, jitter",
    "distill": "800-800; soft targets",
    "distill_jittered": "800-800; soft targets, jitter",
    "without_3": "the same without any 3",
    "without_3_bias": "bias of 3 shifted",
    "only_7_8": "the same with 7s and 8s only",
    "only_7_8_bias": "biases of 7 and 8 shifted",
}


def tables(summaries: Sequence[Summary]) -> list[Table]:
    """Nets and transfer sets, then temperatures; those that have been measured."""
    made = []
    if shown := [each for each in summaries if each.stage in LEARNS_FROM]:
        made.append(tabulate(TITLE, COLUMNS, shown, NOTES))
    if narrow := _narrow(summaries):
        made.append(_temperatures(narrow))
    return made


def pictures(summaries: Sequence[Summary]) -> list[str]:
    """Test errors of the narrow students over the temperature, as SVG."""
    narrow = _narrow([each for each in summaries if each.values("errors")])
    distilled = {t: each for t, each in narrow.items() if t is not None}
    if len(distilled) < 2:
        return []
    figure, plot = svg.axes(420, 240)
    colour = svg.SERIES[0]
    for temperature, summary in distilled.items():
        errors = summary.values("errors")
        plot.plot([temperature] * len(errors), errors, "o", ms=4, mfc="none", c=colour)
    means = {t: summary.mean("errors") for t, summary in distilled.items()}
    plot.plot(*zip(*means.items(), strict=True), "-o", c=colour, ms=6)
    if None in narrow:
        alone = narrow[None].mean("errors")
        plot.axhline(alone, color=svg.FAINT, lw=1, ls=(0, (4, 2)))
        plot.annotate(
            "labels alone", (max(distilled), alone), (0, 3),
            textcoords="offset points", ha="right", color=svg.INK, fontsize=9,
        )  # fmt: skip
    plot.set_xscale("log")
    plot.set_xticks(list(distilled), [f"{t:g}" for t in distilled])
    plot.set_xticks([], minor=True)
    errors_of = "test errors, two layers of 30 units; open circles: seeds"
    svg.caption_axes(plot, x="temperature", y=errors_of)
    listed = ", ".join(f"{mean:.0f} at {t:g}" for t, mean in means.items())
    alt = (
        f"Mean test errors of students with 30 units a layer by temperature: {listed}."
    )
    return [svg.inline_svg(figure, name="temperatures", alt=alt)]


def _errors(summary):
    mean, spread, images = (
        summary.mean("errors"), summary.deviation("errors"), summary.mean("examples")
    )  # fmt: skip
    if mean is None:
        return units.NOTHING
    if images and mean > MANY * images:
        percent = None if spread is None else spread / images
        return f"{units.percent(mean / images, percent)} %"
    return f"{mean:.1f}" + ("" if spread is None else f" ± {spread:.1f}")


def _threes(summary):
    if not _paper(summary).on_threes:
        return ""
    by_class = [row.get("errors_by_class") or [] for row in summary.rows]
    each = [errors[THREE] for errors in by_class if len(errors) > THREE]
    return f"{sum(each) / len(each):.1f}" if each else units.NOTHING


def _shift(summary):
    mean, spread = summary.mean("bias_shift"), summary.deviation("bias_shift")
    if mean is None:
        return ""
    return f"{mean:+.1f}" + ("" if spread is None else f" ± {spread:.1f}")


def _paper(summary):
    return PUBLISHED.get(summary.stage, NOTHING)


TITLE = "Nets and transfer sets, beside the paper's figures"
COLUMNS = (
    Column("stage", lambda summary: summary.stage, numeric=False),
    Column(
        "net and what it learns from",
        lambda summary: LEARNS_FROM[summary.stage],
        numeric=False,
    ),
    Column("test errors", _errors),
    Column("of them 3s", _threes),
    Column("shift", _shift),
    Column("n", lambda summary: str(len(summary.values("errors")))),
    Column("paper: errors", lambda summary: _paper(summary).errors),
    Column("of them 3s", lambda summary: _paper(summary).on_threes),
    Column("shift", lambda summary: _paper(summary).shift),
)
NOTES = (
    "Test errors: of 10,000 images, mean ± sample standard deviation over n seeds. "
    "Paper: quoted from Hinton, Vinyals, Dean (2015), arXiv:1503.02531, section 3.",
    "Shift: added to the output biases of the classes named. Ours is the one that "
    "gets most validation images right; the paper's was chosen on the test images.",
)
NARROW_NOTE = (
    "Soft targets alone at temperature T. The paper gives no errors: with 30 units "
    "a layer, temperatures from 2.5 to 4 worked significantly better than higher "
    "or lower ones."
)


def _narrow(summaries):
    """Temperature -> summary, lowest first; None -> that of labels alone."""
    found = {}
    for summary in summaries:
        if found_name := NARROW.fullmatch(summary.stage):
            temperature = found_name[1]
            found[float(temperature) if temperature else None] = summary
    return dict(sorted(found.items(), key=lambda item: item[0] or 0))


def _temperatures(narrow):
    """A single line: the columns are functions of all the narrow students."""

    def errors_at(temperature):
        return lambda narrow: _errors(narrow[temperature])

    columns = [Column("30-30 units", lambda _: "test errors", numeric=False)]
    columns += [
        Column("labels alone" if t is None else f"T = {t:g}", errors_at(t))
        for t in narrow
    ]
    title = "Narrow students by temperature"
    return tabulate(title, columns, [narrow], [NARROW_NOTE])
