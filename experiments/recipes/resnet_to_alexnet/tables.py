"""What `limbeck reproduce resnet_to_alexnet` measured: accuracy for what it costs.

There are no figures of a paper: we know of none for a ResNet that teaches an
AlexNet-style net.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from experiments.recipes.lossy_copy import LOSSY_COPY
from experiments.recipes.resnet_to_alexnet.orders import ORDERS, PREFIX, in_words
from experiments.tables import callouts, svg, units
from experiments.tables.callouts import Callout
from experiments.tables.pareto_front import staircase
from experiments.tables.percent import percent
from experiments.tables.sent_bytes import sent_bytes
from experiments.tables.summary import Summary, paired_gain
from experiments.tables.table import Column, Table, tabulate

DATA = "cifar10"
MIDDLE = 8
METHODS = {
    "teacher": "ResNet-56, published weights, tuned",
    "assistant": "assistant: ResNet-20, published weights, tuned by the teacher",
    "review": "ReviewKD (Chen 2021)",
    "hints": "FitNets hints, joint (Romero 2015)",
    "mix": "soft targets, ReviewKD and hints, weighed on validation",
    "assisted": "soft targets of the assistant (Mirzadeh 2020)",
    "longer": "soft targets, as long as what is compressed",
    "pruned": "soft targets, 80 % of the weights pruned",
    "archive": "the pruned one, rounded and entropy-coded",
    "channels": "channels removed from the student of twice the width",
    "channels_int8": "the same in 8-bit integers",
    "clustered": "soft targets, 16 values a layer",
    "int8": "soft targets, in 8-bit integers without training",
    "int8_trained": "soft targets, trained in 8-bit integers",
}
WIDTH = re.compile(r"(alone|soft)_(\d+)")
HOW = {"alone": "labels alone", "soft": "soft targets (Hinton 2015)"}
NOTES = (
    "Top-1: of the exported LiteRT file on the test images, mean ± sample standard "
    "deviation over n seeds; teacher and assistant are one net for all. Gain: points "
    "over the student of that width and seed that learned from labels alone.",
    "Bytes of the .tflite file, as it is and zipped (deflate); archive: of the "
    ".limbeck file. Latency: of one image, median. Arena: RAM on a microcontroller.",
)
ORDER_NOTES = (
    "Each step trains for as many epochs, from the same student alone; only `distil` "
    "has the teacher's help. What is pruned keeps its zeros in the steps after it. All "
    "end as integers with 80 % zeros.",
)
SIZE = 560, 340  # points


def tables(summaries: Sequence[Summary]) -> list[Table]:
    """Two tables: sizes and methods, and the orders of three steps."""
    return tables_of(summaries, METHODS, MIDDLE, [LOSSY_COPY])


def pictures(summaries: Sequence[Summary]) -> list[str]:
    """Test top-1 against bytes and against latency, a point a stage, as SVG."""
    return pictures_of(summaries, METHODS)


def tables_of(
    summaries: Sequence[Summary],
    methods: Mapping[str, str],
    middle: int,
    notes: Sequence[str],
) -> list[Table]:
    """The same of another dataset.

    Args:
        summaries: of the run's stages.
        methods: stage -> in words, of all but widths and orders.
        middle: width of the student on which everything is tried, as 1 / width.
        notes: under the first table.
    """
    by_name = {summary.stage: summary for summary in summaries}
    shown = [each for each in summaries if _words(each.stage, methods)]
    ordered = [by_name[f"{PREFIX}{o}"] for o in ORDERS if f"{PREFIX}{o}" in by_name]

    def alone(summary):
        width = WIDTH.fullmatch(summary.stage)
        return by_name.get(f"alone_{width[2] if width else middle}")

    def gain(summary):
        if summary.stage in ("teacher", "assistant") or summary is alone(summary):
            return ""
        return paired_gain(alone(summary), summary)

    columns = (
        Column("stage", lambda summary: summary.stage, numeric=False),
        Column("", lambda s: _words(s.stage, methods), numeric=False),
        Column("top-1 %", lambda summary: percent(summary, "top1")),
        Column("gain", gain),
        Column("n", lambda summary: str(len(summary.values("top1")))),
        Column("validation top-1 %", lambda s: percent(s, "validation_top1")),
        Column("parameters (non-zero)", _parameters),
        Column("MACs", lambda summary: units.scaled(summary.mean("macs"))),
        *_costs(),
    )
    orders = (
        Column(
            "order",
            lambda s: in_words(s.stage.removeprefix(PREFIX)),
            numeric=False,
        ),
        Column("top-1 %", lambda summary: percent(summary, "top1")),
        Column("gain on the student alone", gain),
        Column("n", lambda summary: str(len(summary.values("top1")))),
        Column("validation top-1 %", lambda s: percent(s, "validation_top1")),
        Column("non-zero", lambda summary: units.count(summary.mean("nonzero"))),
        *_costs(),
    )
    return [
        tabulate("Widths and methods", columns, shown, [*notes, *NOTES]),
        tabulate("Orders of the three steps", orders, ordered, ORDER_NOTES),
    ]


def pictures_of(summaries: Sequence[Summary], methods: Mapping[str, str]) -> list[str]:
    """The same of another dataset."""
    shown = [each for each in summaries if _words(each.stage, methods)]
    return [
        picture
        for picture in (
            _picture(shown, "bytes", sent_bytes, "bytes that are sent (log)", "B"),
            _picture(shown, "latency", _latency, "latency of one image, ms (log)"),
        )
        if picture
    ]


def _latency(summary):
    return summary.mean("latency_ms")


def _picture(
    summaries: Sequence[Summary],
    name: str,
    cost: Callable[[Summary], float | None],
    caption: str,
    unit: str | None = None,
) -> str | None:
    shown = [
        (summary, (cost(summary), 100 * summary.mean("top1")))
        for summary in summaries
        if cost(summary) and summary.mean("top1") is not None
    ]
    if len(shown) < 2:
        return None
    figure, plot = svg.axes(*SIZE)
    plot.set_xscale("log")
    best = staircase([point for _, point in shown])
    plot.plot(*zip(*best, strict=True), color=svg.FAINT, lw=1.2, zorder=1)
    names = []
    for summary, point in shown:
        width = WIDTH.fullmatch(summary.stage)
        kinds = {"alone": 1, "soft": 0}
        colour = svg.SERIES[kinds[width[1]] if width else 2]
        plot.plot(*point, "o", ms=7, mew=1.2, mec=svg.PAPER, color=colour)
        names.append(Callout(summary.stage, point, colour))
    plot.margins(0.1, 0.1)
    svg.caption_axes(plot, x=caption, y="test top-1 %, mean")
    svg.readable_ticks(plot, unit)
    callouts.annotate(figure, plot, names, points=[], line=best)
    alt = f"Test top-1 against {name}. " + "; ".join(
        f"{summary.stage} {top1:.2f} % at {_told(paid, unit)}"
        for summary, (paid, top1) in shown
    )
    return svg.inline_svg(figure, name=f"resnet_to_alexnet_{name}", alt=alt)


def _told(paid, unit):
    return f"{units.latency(paid)} ms" if unit is None else units.scaled(paid, unit)


def _words(stage, methods):
    """What a stage is; None of a step of an order."""
    if stage in methods:
        return methods[stage]
    width = WIDTH.fullmatch(stage)
    return f"1/{width[2]} wide: {HOW[width[1]]}" if width else None


def _parameters(summary):
    every, left = summary.mean("parameters"), summary.mean("nonzero")
    few = every and left is not None and left < 0.99 * every
    return units.count(every) + (f" ({units.count(left)})" if few else "")


def _costs():
    return (
        Column("bytes", lambda s: units.scaled(s.mean("bytes"), "B")),
        Column("zipped", lambda s: units.scaled(s.mean("bytes_zipped"), "B")),
        Column("archive", lambda s: units.scaled(s.mean("bytes_encoded"), "B")),
        Column("latency ms", lambda s: units.latency(s.mean("latency_ms"))),
        Column("arena", lambda s: units.scaled(s.mean("arena_bytes"), "B")),
    )
