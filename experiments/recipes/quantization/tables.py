"""What `limbeck reproduce quantization` measured, beside what others published.

Top-1 on ImageNet: PyTorch's torchvision, "Quantized models" in its documentation
(https://docs.pytorch.org/vision/stable/models.html): its eager int8 models, and the
float weights that they come from.
"""

from collections.abc import Sequence

from experiments.recipes.lossy_copy import LOSSY_COPY
from experiments.recipes.quantization.forms import (
    AWARE,
    CALIBRATIONS,
    CORRECTED,
    FILES,
    MIXED,
    NETS,
)
from experiments.tables import svg, units
from experiments.tables.percent import percent
from experiments.tables.summary import Summary, file_summaries
from experiments.tables.table import Column, Table, tabulate

DATA = "cifar10"
METHODS = CALIBRATIONS | CORRECTED | MIXED | AWARE
# Net -> float and int8 top-1 in percent, and how it was quantized.
PUBLISHED = {
    "ResNet-18": (69.758, 69.494, "after training"),
    "ResNet-50": (76.130, 75.920, "after training"),
    "GoogLeNet": (69.778, 69.826, "after training"),
    "MobileNetV2": (71.878, 71.658, "with training"),
}
NOTES = (
    LOSSY_COPY,
    "Top-1: of the exported LiteRT file on the test images, mean ± sample standard "
    "deviation over n seeds. Change: in points, of the mean, from the net's float32 "
    "file. Agreement: test images on which the file and its stage's Keras model give "
    "the same answer. Latency: of one image, median. Arena: RAM that TensorFlow Lite "
    "Micro needs to run the file; a dash where it cannot.",
    "Ranges are found on 256 train images. What trains goes on for an epoch or two "
    "from the float net, so its change holds what these epochs give, too.",
    "The ResNets' published weights were trained on all 50,000 train images, ours for "
    "validation among them.",
)


def tables(summaries: Sequence[Summary]) -> list[Table]:
    """One line a net and form; then what others published, on other data."""
    files = [file for file in file_summaries(summaries) if _parts(file) is not None]
    floats = {
        _parts(file)[0]: file
        for file in files
        if _parts(file)[1] is None and file.about("precision") == "float32"
    }
    return [
        tabulate("Nets in few bits", _columns(floats), files, NOTES),
        published(),
    ]


def published() -> Table:
    """Int8 beside float as torchvision's documentation has it, on ImageNet."""
    columns = (
        Column("net", lambda row: row[0], numeric=False),
        Column("float top-1 %", lambda row: f"{row[1][0]:.2f}"),
        Column("int8 top-1 %", lambda row: f"{row[1][1]:.2f}"),
        Column("change", lambda row: f"{row[1][1] - row[1][0]:+.2f}"),
        Column("quantized", lambda row: row[1][2], numeric=False),
    )
    notes = ('Quoted from torchvision\'s documentation, "Quantized models"; ImageNet.',)
    return tabulate("Published", columns, list(PUBLISHED.items()), notes)


def pictures(summaries: Sequence[Summary]) -> list[str]:
    """Test top-1 against bytes, a line a net, as SVG."""
    files = [
        file
        for file in file_summaries(summaries)
        if _parts(file) is not None and file.mean("top1") is not None
    ]
    if not files:
        return []
    figure, plot = svg.axes(520, 320)
    said = []
    for colour, (net, title) in zip(svg.SERIES, NETS.items(), strict=False):
        points = sorted(
            (file.mean("bytes"), 100 * file.mean("top1"))
            for file in files
            if _parts(file)[0] == net
        )
        if not points:
            continue
        plot.plot(*zip(*points, strict=True), "o-", c=colour, ms=4, label=title)
        listed = ", ".join(f"{top1:.1f} at {size:,.0f} bytes" for size, top1 in points)
        said.append(f"{title} {listed}")
    plot.set_xscale("log")
    plot.legend(frameon=False, fontsize=7)
    svg.caption_axes(plot, x="bytes of the file (log)", y="test top-1 %, mean")
    svg.readable_ticks(plot, "B")
    alt = f"Test top-1 in percent against bytes. {'; '.join(said)}."
    return [svg.inline_svg(figure, name="quantization", alt=alt)]


def _parts(summary):
    """(net, method) of a stage, no method of the float net; None of another stage."""
    net, _, method = summary.stage.partition("_")
    if net not in NETS or (method and method not in METHODS):
        return None
    return net, method or None


def _form(summary):
    method = _parts(summary)[1]
    if method is None:
        precision = summary.about("precision")
        return FILES.get(precision, precision)
    return METHODS[method]


def _columns(floats):
    def change(summary):
        base = floats.get(_parts(summary)[0])
        if base is None or base is summary:
            return ""
        return units.change(base.mean("top1"), summary.mean("top1"))

    return (
        Column("net", lambda summary: NETS[_parts(summary)[0]], numeric=False),
        Column("form", _form, numeric=False),
        Column(
            "top-1 %",
            lambda s: percent(s, "top1"),
        ),
        Column("change", change),
        Column("n", lambda summary: str(len(summary.values("top1")))),
        Column("agreement %", lambda s: units.percent(s.mean("agreement"))),
        Column("bytes", lambda s: units.scaled(s.mean("bytes"), "B")),
        Column("latency ms", lambda s: units.latency(s.mean("latency_ms"))),
        Column("arena", lambda s: units.scaled(s.mean("arena_bytes"), "B")),
    )
