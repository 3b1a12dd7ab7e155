"""What `limbeck reproduce classic_nets` measured: progress, and what it cost.

There are no figures of papers: none has all these nets, or this training.
"""

from collections.abc import Sequence

from experiments.recipes.lossy_copy import LOSSY_COPY
from experiments.tables import callouts, svg, units
from experiments.tables.callouts import Callout
from experiments.tables.pareto_front import staircase
from experiments.tables.percent import percent
from experiments.tables.summary import Summary
from experiments.tables.table import Column, Table, tabulate

DATA = "cifar10"
# Stage -> the net in words, and the year of its paper; in the order of the years.
NETS = {
    "mlp": ("MLP 300-100", 1998),
    "lenet5_1998": ("LeNet-5, tanh", 1998),
    "lenet5": ("LeNet-5, ReLU", 1998),
    "lenet5_caffe": ("LeNet of Caffe", 1998),
    "alexnet_small": ("AlexNet", 2012),
    "zfnet_small": ("ZFNet", 2013),
    "vgg11_cifar": ("VGG-11", 2014),
    "vgg13_cifar": ("VGG-13", 2014),
    "vgg16_cifar": ("VGG-16", 2014),
    "vgg19_cifar": ("VGG-19", 2014),
    "googlenet_cifar": ("GoogLeNet", 2015),
    "resnet20": ("ResNet-20", 2015),
    "resnet32": ("ResNet-32", 2015),
    "resnet44": ("ResNet-44", 2015),
    "resnet56": ("ResNet-56", 2015),
    "resnet110": ("ResNet-110", 2015),
}
NOTES = (
    LOSSY_COPY,
    "Top-1: of the exported LiteRT file on the test images, mean ± sample standard "
    "deviation over n seeds. One training for all nets; forms for 32 px, not the "
    "papers' own, and all but MLP and LeNets with batch norm. Year: of the paper.",
    "Train images/s: median over the epochs after the first, validation left out, on "
    "the machine named above; compare within the table.",
)
SIZE = 560, 340  # points


def tables(summaries: Sequence[Summary]) -> list[Table]:
    """One line a net, in the order of the years."""
    return [tabulate("Classic nets on CIFAR-10", COLUMNS, _in_order(summaries), NOTES)]


def pictures(summaries: Sequence[Summary]) -> list[str]:
    """Mean test top-1 against multiply-accumulates, a point a net, as SVG."""
    shown = [
        (summary, (summary.mean("macs"), 100 * summary.mean("top1")))
        for summary in _in_order(summaries)
        if summary.mean("macs") and summary.mean("top1") is not None
    ]
    if len(shown) < 2:
        return []
    figure, plot = svg.axes(*SIZE)
    plot.set_xscale("log")
    colour = svg.colours(list(dict.fromkeys(year for _, year in NETS.values())))
    best = staircase([point for _, point in shown])
    plot.plot(*zip(*best, strict=True), color=svg.FAINT, lw=1.2, zorder=1)
    names, points = [], []
    for summary, point in shown:
        net, year = NETS[summary.stage]
        for row in summary.rows if len(summary.rows) > 1 else ():
            if row.get("top1") is not None:
                each = point[0], 100 * row["top1"]
                plot.plot(*each, "o", ms=4, mfc="none", color=colour[year])
                points.append(each)
        plot.plot(*point, "o", ms=8, mew=1.5, mec=svg.PAPER, color=colour[year])
        names.append(Callout(f"{net} ({year})", point, colour[year]))
    plot.margins(0.14, 0.14)
    svg.caption_axes(plot, x="multiply-accumulates of an image (log)", y="test top-1 %")
    svg.readable_ticks(plot, "")
    callouts.annotate(figure, plot, names, points=points, line=best)
    alt = "Accuracy against multiply-accumulates, by year. " + "; ".join(
        f"{name.text}: {top1:.2f} % at {units.scaled(macs)}"
        for name, (_, (macs, top1)) in zip(names, shown, strict=True)
    )
    return [svg.inline_svg(figure, name="progress", alt=alt)]


def _in_order(summaries):
    order = list(NETS)
    known = [summary for summary in summaries if summary.stage in NETS]
    return sorted(known, key=lambda summary: order.index(summary.stage))


COLUMNS = (
    Column("net", lambda summary: NETS[summary.stage][0], numeric=False),
    Column("year", lambda summary: str(NETS[summary.stage][1])),
    Column("top-1 %", lambda summary: percent(summary, "top1")),
    Column("validation top-1 %", lambda s: percent(s, "validation_top1")),
    Column("parameters", lambda s: units.count(s.mean("parameters"))),
    Column("MACs", lambda summary: units.scaled(summary.mean("macs"))),
    Column("train images/s", lambda s: units.count(s.mean("images_per_second"))),
    Column("n", lambda summary: str(len(summary.values("top1")))),
)
