"""What `limbeck reproduce han2016` measured, beside published bytes.

Han, Mao, Dally (2016), "Deep Compression", https://arxiv.org/abs/1510.00149, tables 1
and 2 (a kB is 1,000 bytes in ours; theirs may be 1,024); Oktay et al. (2020), "Scalable
Model Compression by Entropy Penalized Reparameterization",
https://arxiv.org/abs/1906.06624, table 1.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from experiments.tables import svg, units
from experiments.tables.error import error
from experiments.tables.summary import Summary
from experiments.tables.table import Column, Table, tabulate

DATA = "mnist"
NETS = {"fc": "LeNet-300-100", "conv": "LeNet-5 (Caffe)"}
HOW = {
    "dense": "dense",
    "pruned": "pruned",
    "shared": "pruned, values shared",
    "pruned_rounded": "pruned, rounded",
    "sparse": "variational dropout",
    "sparse_tuned": "the same, trained on",
    "sparse_rounded": "the same, rounded",
    "taught": "variational dropout, taught",
    "taught_tuned": "the same, trained on",
    "taught_rounded": "the same, rounded",
}
LINES = ("shared", "pruned_rounded", "sparse_rounded", "taught_rounded")
STAGE = re.compile(rf"({'|'.join(NETS)})_({'|'.join(HOW)})(?:_(\d+))?")


class Published(NamedTuple):
    """A point of a paper: error in percent, bytes of the compressed weights."""

    net: str
    method: str
    error: float
    kilobytes: float
    source: str


HAN, OKTAY = "Han et al. (2016), table 1", "Oktay et al. (2020), table 1"
PUBLISHED = (
    Published("fc", "Deep Compression", 1.58, 27, HAN),
    Published("fc", "entropy-penalised reparameterisation", 1.9, 8.56, OKTAY),
    Published("conv", "Deep Compression", 0.74, 44, HAN),
    Published("conv", "entropy-penalised reparameterisation", 1.0, 2.84, OKTAY),
)
NOTES = (
    "Archive: bytes of the whole .limbeck file. Weights left: those of kernels and "
    "biases that are not zero. Error: on the 10,000 test images, mean ± sample "
    "standard deviation over n seeds. A number behind `rounded`: tenths of a point of "
    "validation accuracy that rounding was allowed to lose.",
)
PUBLISHED_NOTE = (
    "Quoted, not measured here; the bytes are those that the papers state, without "
    "architecture."
)


def tables(summaries: Sequence[Summary]) -> list[Table]:
    """A line a stage, then the papers' points."""
    shown = [each for each in summaries if STAGE.fullmatch(each.stage)]
    return [
        tabulate("Error against bytes", COLUMNS, shown, NOTES),
        tabulate("Published points", QUOTED, PUBLISHED, [PUBLISHED_NOTE]),
    ]


def pictures(summaries: Sequence[Summary]) -> list[str]:
    """Error over bytes, a picture a net, as SVG; each point is a file."""
    return [picture for net in NETS if (picture := _picture(net, summaries))]


def _picture(net, summaries):
    points = {}  # how -> (kilobytes, error %)
    for summary in summaries:
        parts, size = STAGE.fullmatch(summary.stage), summary.mean("bytes_encoded")
        if parts and parts[1] == net and parts[2] in LINES and size:
            error = 100 * (1 - summary.mean("top1"))
            points.setdefault(parts[2], []).append((size / 1000, error))
    if not points:
        return None
    figure, plot = svg.axes(520, 300)
    colours = dict(zip(LINES, svg.SERIES, strict=False))
    words = []
    for how in LINES:
        each = sorted(points.get(how, ()))
        if not each:
            continue
        plot.plot(*zip(*each, strict=True), "-o", ms=5, c=colours[how], label=_how(how))
        words += [f"{_how(how)} {error:.2f} % in {size:.1f} kB" for size, error in each]
    for quoted in PUBLISHED:
        if quoted.net == net:
            plot.plot(
                [quoted.kilobytes], [quoted.error], "D", ms=7, mfc="none", c=svg.INK
            )
    svg.named_ticks(plot, {size: f"{size} kB" for size in (2, 4, 8, 16, 32, 64)})
    plot.legend(frameon=False, fontsize=9, labelcolor=svg.INK)
    svg.caption_axes(
        plot,
        x="bytes of the file; open diamonds: published",
        y=f"test error %, {NETS[net]}",
    )
    alt = f"Test error of {NETS[net]} by bytes: {', '.join(words)}."
    return svg.inline_svg(figure, name=f"han2016_{net}", alt=alt)


def _how(how):
    first = how.removesuffix("_rounded")
    return HOW[how] if first == how else f"{HOW[first]}, rounded"


def _part(number):
    return lambda summary: STAGE.fullmatch(summary.stage)[number]


COLUMNS = (
    Column("stage", lambda summary: summary.stage, numeric=False),
    Column("net", lambda s: NETS[_part(1)(s)], numeric=False),
    Column("how", lambda s: HOW[_part(2)(s)], numeric=False),
    Column("error %", error),
    Column("n", lambda summary: str(len(summary.values("top1")))),
    Column("weights left", lambda summary: units.count(summary.mean("nonzero"))),
    Column("float32", lambda s: units.count(s.mean("bytes"))),
    Column("zipped", lambda s: units.count(s.mean("bytes_zipped"))),
    Column("archive", lambda s: units.count(s.mean("bytes_encoded"))),
)
QUOTED = (
    Column("net", lambda point: NETS[point.net], numeric=False),
    Column("method", lambda point: point.method, numeric=False),
    Column("error %", lambda point: f"{point.error:.2f}"),
    Column("kB", lambda point: f"{point.kilobytes:g}"),
    Column("source", lambda point: point.source, numeric=False),
)
