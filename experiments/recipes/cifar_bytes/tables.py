"""What `limbeck reproduce cifar_bytes` measured, beside a published archive.

Oktay et al. (2020), "Scalable Model Compression by Entropy Penalized
Reparameterization", https://arxiv.org/abs/1906.06624, table 1.
"""

import re
from collections.abc import Sequence

from experiments.recipes.lossy_copy import LOSSY_COPY
from experiments.tables import svg, units
from experiments.tables.percent import percent
from experiments.tables.sent_bytes import sent_bytes
from experiments.tables.summary import Summary
from experiments.tables.table import Column, Table, tabulate

DATA = "cifar10"
NETS = {
    "resnet20": "ResNet-20",
    "alexnet": "small AlexNet, 1/4 wide",
    "vgg16": "VGG-16-bn, 1/4 wide",
}
ROUNDED = {"0": "rounded at no loss", "10": "rounded, a point lost"}
STAGE = re.compile(rf"({'|'.join(NETS)})(_int8|_pruned)?(?:_rounded_(0|10))?")
NOTES = (
    LOSSY_COPY,
    "Top-1: of the exported LiteRT file on the test images. Change: in points, from "
    "the dense net. File: bytes of the .tflite file; archive: of the whole .limbeck "
    "file, architecture and class names included. Smaller: the dense net's .tflite "
    "file over the smallest of the three.",
    "Quoted, not measured here: entropy-penalised reparameterisation stores a VGG-16 "
    "of full width in 101 kB at 10.0 % error on CIFAR-10 (Oktay et al. 2020, table 1).",
    "ResNet-20's published weights were trained on all 50,000 train images, ours for "
    "validation among them: what rounding loses there says less of other images.",
)


def tables(summaries: Sequence[Summary]) -> list[Table]:
    """A line a file."""
    shown = [each for each in summaries if STAGE.fullmatch(each.stage)]
    dense = {summary.stage: summary for summary in shown if summary.stage in NETS}
    return [tabulate("Bytes", _columns(dense), shown, NOTES)]


def pictures(summaries: Sequence[Summary]) -> list[str]:
    """Test top-1 over bytes, as SVG: a line a net."""
    points = {}  # net -> (bytes, top-1 %)
    for summary in summaries:
        size, top1 = sent_bytes(summary), summary.mean("top1")
        if (found := STAGE.fullmatch(summary.stage)) and size and top1 is not None:
            points.setdefault(found[1], []).append((size, 100 * top1))
    points = {net: sorted(each) for net, each in points.items() if len(each) > 1}
    if not points:
        return []
    figure, plot = svg.axes(520, 300)
    plot.set_xscale("log")
    words = []
    for (net, each), colour in zip(points.items(), svg.SERIES, strict=False):
        plot.plot(*zip(*each, strict=True), "-o", ms=5, c=colour, label=NETS[net])
        words += [f"{NETS[net]} {y:.2f} % in {x / 1000:.1f} kB" for x, y in each]
    svg.readable_ticks(plot, "B")
    plot.legend(frameon=False, fontsize=9, labelcolor=svg.INK)
    svg.caption_axes(plot, x="bytes that are sent (log)", y="test top-1 %")
    alt = f"Test top-1 by bytes: {', '.join(words)}."
    return [svg.inline_svg(figure, name="cifar_bytes", alt=alt)]


def _columns(dense):
    def net(summary):
        return STAGE.fullmatch(summary.stage)[1]

    def change(summary):
        first = dense.get(net(summary))
        if first in (None, summary) or summary.mean("top1") is None:
            return ""
        return f"{100 * (summary.mean('top1') - first.mean('top1')):+.2f}"

    def smaller(summary):
        first, least = dense.get(net(summary)), sent_bytes(summary)
        if first is None or not least:
            return ""
        return f"{first.mean('bytes') / least:.1f}x"

    return (
        Column("net", lambda s: NETS[net(s)], numeric=False),
        Column("how", lambda summary: _how(summary.stage), numeric=False),
        Column("top-1 %", lambda summary: percent(summary, "top1")),
        Column("change", change),
        Column("weights left", lambda summary: units.count(summary.mean("nonzero"))),
        Column("file", lambda summary: units.count(summary.mean("bytes"))),
        Column("zipped", lambda summary: units.count(summary.mean("bytes_zipped"))),
        Column("archive", lambda summary: units.count(summary.mean("bytes_encoded"))),
        Column("smaller", smaller),
    )


def _how(stage):
    _, kind, rounded = STAGE.fullmatch(stage).groups()
    start = {None: "float32", "_int8": "int8", "_pruned": "pruned"}[kind]
    if rounded is None:
        return start
    return ROUNDED[rounded] if kind is None else f"{start}, {ROUNDED[rounded]}"
