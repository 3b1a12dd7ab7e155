"""What `limbeck reproduce sparsity` measured, beside published errors.

Han et al. (2015), https://arxiv.org/abs/1506.02626; Guo et al. (2016),
https://arxiv.org/abs/1608.04493; Molchanov et al. (2017),
https://arxiv.org/abs/1701.05369.
"""

import re
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from experiments.tables import svg, units
from experiments.tables.error import error
from experiments.tables.summary import Summary, number
from experiments.tables.table import Column, Table, tabulate

DATA = "mnist"
NETS = {"fc": "LeNet-300-100", "conv": "LeNet-5 (Caffe)"}
BIASES = {"fc": 300 + 100 + 10, "conv": 20 + 50 + 500 + 10}
METHODS = {
    "dense": "dense",
    "prune": "magnitude, iterative",
    "surgery": "dynamic network surgery",
    "vd": "sparse variational dropout",
    "vd_tuned": "the same, trained on with its zeros",
    "l0": "L0, a gate on each weight",
    "l0_tuned": "the same, trained on with its zeros",
}
STAGE = re.compile(rf"({'|'.join(NETS)})_({'|'.join(METHODS)})(?:_(\d+))?")


class Published(NamedTuple):
    """A point of a paper: error in percent, all weights over those that are left."""

    net: str
    method: str
    error: float
    times: float
    source: str


HAN, GUO, MOLCHANOV = (
    "Han et al. (2015), table 1",
    "Guo et al. (2016), table 1",
    "Molchanov et al. (2017), table 1",
)
PUBLISHED = (
    Published("fc", "dense", 1.64, 1, HAN),
    Published("fc", "prune", 1.59, 12, HAN),
    Published("fc", "surgery", 1.99, 56, GUO),
    Published("fc", "vd", 1.92, 68, MOLCHANOV),
    Published("conv", "dense", 0.80, 1, HAN),
    Published("conv", "prune", 0.77, 12, HAN),
    Published("conv", "surgery", 0.91, 108, GUO),
    Published("conv", "vd", 0.75, 280, MOLCHANOV),
)
NOTES = (
    "Compression: all weights of the kernels over those that are not zero, biases left "
    "out of both. Error: of the exported LiteRT file on the 10,000 test images, mean ± "
    "sample standard deviation over n seeds.",
    "Zeros do not make the float file smaller or faster: see its zipped bytes.",
)
PUBLISHED_NOTE = (
    "Quoted, not measured here. The papers train for many more epochs, and on all "
    "60,000 images; ours leave 5,000 of them for validation."
)


def tables(summaries: Sequence[Summary]) -> list[Table]:
    """A line a stage, then the papers' points."""
    shown = [each for each in summaries if STAGE.fullmatch(each.stage)]
    return [
        tabulate("Error against compression", COLUMNS, shown, NOTES),
        tabulate("Published points", QUOTED, PUBLISHED, [PUBLISHED_NOTE]),
    ]


def pictures(summaries: Sequence[Summary]) -> list[str]:
    """Error over compression, a picture a net, as SVG."""
    return [picture for net in NETS if (picture := _picture(net, summaries))]


def compressions(summary: Summary) -> list[float]:
    """All kernel weights over those left, one for each seed."""
    net, _, _ = STAGE.fullmatch(summary.stage).groups()
    found = []
    for row in summary.rows:
        every, nonzero = number(row.get("parameters")), number(row.get("nonzero"))
        if every and nonzero and nonzero > BIASES[net]:
            found.append((every - BIASES[net]) / (nonzero - BIASES[net]))
    return found


def _picture(net, summaries):
    points = {}  # method -> (compression, error %), by compression
    for summary in summaries:
        parts = STAGE.fullmatch(summary.stage)
        times = compressions(summary) if parts else []
        if times and parts[1] == net and summary.values("top1"):
            error = 100 * (1 - summary.mean("top1"))
            points.setdefault(parts[2], []).append((statistics.fmean(times), error))
    if len(points) < 2:
        return None
    figure, plot = svg.axes(520, 300)
    colours = dict(zip(METHODS, svg.SERIES, strict=True))
    words = []
    for method, each in points.items():
        each = sorted(each)
        plot.plot(
            *zip(*each, strict=True), "-o", ms=5, c=colours[method],
            label=method.replace("_", ", "),
        )  # fmt: skip
        words += [f"{method} {error:.2f} % at {times:.0f}x" for times, error in each]
    for quoted in PUBLISHED:
        if quoted.net == net:
            plot.plot(
                [quoted.times], [quoted.error], "D", ms=7, mfc="none",
                c=colours[quoted.method],
            )  # fmt: skip
    times = (1, 10, 25, 50, 100, 200, 400)
    svg.named_ticks(plot, {each: f"{each}x" for each in times})
    plot.legend(frameon=False, fontsize=9, labelcolor=svg.INK)
    svg.caption_axes(
        plot,
        x="compression; open diamonds: published",
        y=f"test error %, {NETS[net]}",
    )
    alt = f"Test error of {NETS[net]} by compression: {', '.join(words)}."
    return svg.inline_svg(figure, name=f"sparsity_{net}", alt=alt)


def _part(number):
    return lambda summary: STAGE.fullmatch(summary.stage)[number]


def _times(summary):
    found = compressions(summary)
    if not found:
        return units.NOTHING
    text = f"{statistics.fmean(found):.1f}"
    return text + (f" ± {statistics.stdev(found):.1f}" if len(found) > 1 else "")


COLUMNS = (
    Column("stage", lambda summary: summary.stage, numeric=False),
    Column("net", lambda s: NETS[_part(1)(s)], numeric=False),
    Column("method", lambda s: METHODS[_part(2)(s)], numeric=False),
    Column("compression", _times),
    Column("error %", error),
    Column("n", lambda summary: str(len(summary.values("top1")))),
    Column("epochs", lambda summary: units.count(summary.mean("epochs"))),
    Column("bytes zipped", lambda summary: units.count(summary.mean("bytes_zipped"))),
)
QUOTED = (
    Column("net", lambda point: NETS[point.net], numeric=False),
    Column("method", lambda point: METHODS[point.method], numeric=False),
    Column("compression", lambda point: f"{point.times:g}"),
    Column("error %", lambda point: f"{point.error:.2f}"),
    Column("source", lambda point: point.source, numeric=False),
)
