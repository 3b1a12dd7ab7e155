"""What `limbeck reproduce distill_methods` measured: the methods beside each other.

There are no figures of a paper: we know of none for a ResNet that teaches an
AlexNet-style net.
"""

import statistics
from collections.abc import Sequence

from experiments.recipes.lossy_copy import LOSSY_COPY
from experiments.tables import svg, units
from experiments.tables.percent import percent
from experiments.tables.summary import Summary, paired_gain
from experiments.tables.table import Column, Table, tabulate

DATA = "cifar10"
TEACHER, ALONE = "teacher", "student"
METHODS = {
    "teacher": "ResNet-56, published weights, fine-tuned",
    "student": "labels alone",
    "soft_targets": "soft targets (Hinton 2015)",
    "standardized": "standardised logits (Sun 2024)",
    "decoupled": "DKD (Zhao 2022)",
    "attention": "attention transfer (Zagoruyko 2017)",
    "hints": "FitNets hints, joint (Romero 2015)",
    "contrast": "CRD (Tian 2020)",
    "review": "ReviewKD (Chen 2021)",
}
WIDTH, LEFT = 520, 110  # points; for the names
NOTES = (
    LOSSY_COPY,
    "Top-1: of the exported LiteRT file on the test images, mean ± sample standard "
    "deviation over n seeds; the teacher is one net for all. Gain: percentage "
    "points over the student of the same seed that learned from labels alone.",
    "The teacher's published weights were trained on all 50,000 train images, the "
    "validation images among them: its own validation top-1 says nothing. The "
    "students have not seen those images.",
)


def tables(summaries: Sequence[Summary]) -> list[Table]:
    """One line a method; gains are over the same seed's student alone."""
    alone = next((each for each in summaries if each.stage == ALONE), None)
    return [tabulate("Methods", _columns(alone), summaries, NOTES)]


def pictures(summaries: Sequence[Summary]) -> list[str]:
    """Every seed's test top-1 by method, as SVG."""
    shown = [s for s in summaries if s.stage != TEACHER and s.values("top1")]
    if len(shown) < 2:
        return []
    figure, plot = svg.axes(WIDTH, 260)
    figure.subplots_adjust(left=LEFT / WIDTH)
    for height, summary in enumerate(reversed(shown)):
        top1 = [100 * value for value in summary.values("top1")]
        plot.plot(top1, [height] * len(top1), "o", ms=4, mfc="none", c=svg.SERIES[0])
        plot.plot([statistics.fmean(top1)], [height], "|", ms=14, c=svg.INK)
    names = [summary.stage for summary in reversed(shown)]
    plot.set_yticks(range(len(names)), names, parse_math=False)
    svg.caption_axes(plot, x="test top-1 %: each seed, and the mean", y="")
    means = ", ".join(f"{s.stage} {units.percent(s.mean('top1'))}" for s in shown)
    alt = f"Test top-1 in percent of each method: {means}."
    return [svg.inline_svg(figure, name="methods", alt=alt)]


def _columns(alone: Summary | None) -> tuple[Column, ...]:
    """The columns, gains over `alone`."""
    return (
        Column("stage", lambda summary: summary.stage, numeric=False),
        Column("method", lambda s: METHODS.get(s.stage, s.stage), numeric=False),
        Column("top-1 %", lambda summary: percent(summary, "top1")),
        Column("gain on labels alone", lambda summary: _gain(summary, alone)),
        Column("n", lambda summary: str(len(summary.values("top1")))),
        Column("validation top-1 %", lambda s: percent(s, "validation_top1")),
        Column("epochs", lambda summary: units.count(summary.mean("epochs"))),
        Column("parameters", lambda s: units.count(s.mean("parameters"))),
        Column("MACs", lambda summary: units.scaled(summary.mean("macs"))),
    )


def _gain(summary, alone):
    if summary.stage in (TEACHER, ALONE):
        return ""
    return paired_gain(alone, summary)
