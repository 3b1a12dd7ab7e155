"""What `limbeck reproduce distill_methods` measured: each method beside the others.

No figure of a paper stands here: none for a ResNet that teaches an AlexNet-style net
is known to us.
"""

import statistics
from collections.abc import Sequence

from experiments.tables import svg as drawing
from experiments.tables import units
from experiments.tables.summary import Line
from experiments.tables.table import Cell, Column, Table

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


def tables(lines: Sequence[Line]) -> list[Table]:
    """One line a method; gains are of the same seed's student alone."""
    alone = next((line for line in lines if line.stage == ALONE), None)
    columns = (
        Column("stage", numeric=False),
        Column("method", numeric=False),
        Column("top-1 %"),
        Column("gain on labels alone"),
        Column("n"),
        Column("validation top-1 %"),
        Column("epochs"),
        Column("parameters"),
        Column("MACs"),
    )
    cells = [
        (
            Cell(line.stage),
            Cell(METHODS.get(line.stage, line.stage)),
            Cell(units.percent(line.mean("top1"), line.deviation("top1"))),
            Cell(_gain(line, alone)),
            Cell(str(len(line.values("top1")))),
            Cell(
                units.percent(
                    line.mean("validation_top1"), line.deviation("validation_top1")
                )
            ),
            Cell(units.count(line.mean("epochs"))),
            Cell(units.count(line.mean("parameters"))),
            Cell(units.scaled(line.mean("macs"))),
        )
        for line in lines
    ]
    notes = (
        "Note: CIFAR-10 here is a lossy JPEG copy: accuracies are not comparable with "
        "published ones. Train 45,000, validation 5,000, test 10,000 images.",
        "Top-1: of the exported LiteRT file on the test images, mean ± sample standard "
        "deviation over n seeds; the teacher is one net for all. Gain: percentage "
        "points over the student of the same seed that learned from labels alone.",
        "The teacher's published weights were trained on all 50,000 train images, the "
        "validation images among them: its own validation top-1 says nothing. The "
        "students have not seen those images.",
    )
    return [Table("Methods", columns, tuple(cells), notes)]


def pictures(lines: Sequence[Line]) -> list[str]:
    """Every seed's test top-1 by method, as SVG."""
    shown = [line for line in lines if line.stage != TEACHER and line.values("top1")]
    if len(shown) < 2:
        return []
    figure, plot = drawing.axes(520, 260)
    for place, line in enumerate(reversed(shown)):
        top1 = [100 * value for value in line.values("top1")]
        plot.plot(top1, [place] * len(top1), "o", ms=4, mfc="none", c=drawing.SERIES[0])
        plot.plot([statistics.fmean(top1)], [place], "|", ms=14, c=drawing.INK)
    names = [line.stage for line in reversed(shown)]
    plot.set_yticks(range(len(names)), names)
    drawing.caption_axes(plot, x="test top-1 %: each seed, and the mean", y="")
    said = ", ".join(
        f"{line.stage} {units.percent(line.mean('top1'))}" for line in shown
    )
    alt = f"Test top-1 in percent of each method: {said}."
    return [drawing.inline_svg(figure, name="methods", alt=alt)]


def _gain(line, alone):
    """Mean and deviation, over seeds, of the difference to the same seed's student."""
    if alone is None or line.stage in (TEACHER, ALONE):
        return ""
    before = {row["seed"]: row["top1"] for row in alone.rows}
    gains = [
        100 * (row["top1"] - before[row["seed"]])
        for row in line.rows
        if row["seed"] in before
    ]
    if not gains:
        return ""
    spread = f" ± {statistics.stdev(gains):.2f}" if len(gains) > 1 else ""
    return f"{statistics.fmean(gains):+.2f}{spread}"
