"""What the experiments with few labels share: their stages, and their table.

A method with a number of labels is a stage, called "staged_50".
"""

from collections.abc import Callable, Mapping, Sequence

from experiments.tables import svg
from experiments.tables.percent import percent
from experiments.tables.summary import Summary, paired_gain
from experiments.tables.table import Column, Table, tabulate

TRANSFERS = {
    "scratch": "from scratch",
    "frozen": "frozen backbone",
    "staged": "unfrozen in stages",
    "full": "full fine-tuning",
}
TOP1 = (
    "Top-1: of the exported LiteRT file on the test images, mean ± sample standard "
    "deviation over n seeds, which choose the labelled images. Gain: percentage points "
    "over the net of the same seed and labels that was trained from scratch. The epoch "
    "that is kept is the best on validation, whose {validation} are not counted."
)


def stages(methods: Mapping[str, Callable], budgets: Sequence[int | None]) -> list:
    """A stage for every number of labels and method.

    Args:
        methods: name -> function of a stage's name and number of labels that makes it.
        budgets: numbers of labels; None: all.
    """
    return [
        make(f"{method}_{labels or 'all'}", labels)
        for labels in budgets
        for method, make in methods.items()
    ]


def tables(
    summaries: Sequence[Summary],
    methods: Mapping[str, str],
    notes: Sequence[str],
    more: Sequence[Column] = (),
) -> list[Table]:
    """One line a number of labels and method, with its gain on the first method.

    Args:
        summaries: of the run's stages.
        methods: name -> in words; the first one is what the others are compared with.
        notes: under the table.
        more: columns.
    """
    by_name = {summary.stage: summary for summary in summaries}
    base = next(iter(methods))

    def labels(summary):
        return summary.stage.rpartition("_")[2]

    def method(summary):
        return summary.stage.rpartition("_")[0]

    def gain(summary):
        if method(summary) == base:
            return ""
        return paired_gain(by_name.get(f"{base}_{labels(summary)}"), summary)

    shown = [summary for summary in summaries if method(summary) in methods]
    columns = (
        Column("labels", labels),
        Column("method", lambda summary: methods[method(summary)], numeric=False),
        Column("top-1 %", lambda summary: percent(summary, "top1")),
        Column("gain", gain),
        Column("n", lambda summary: str(len(summary.values("top1")))),
        Column("validation top-1 %", lambda s: percent(s, "validation_top1")),
        *more,
    )
    return [tabulate("Top-1 by the number of labels", columns, shown, notes)]


def picture(summaries: Sequence[Summary], methods: Mapping[str, str]) -> list[str]:
    """Mean test top-1 against the number of labels, a line a method, as SVG."""
    by_name = {summary.stage: summary for summary in summaries}
    budgets = list(
        dict.fromkeys(
            name.rpartition("_")[2]
            for name in by_name
            if name.rpartition("_")[0] in methods
        )
    )
    if len(budgets) < 2:
        return []
    figure, plot = svg.axes(520, 300)
    said = []
    for colour, (method, words) in zip(svg.SERIES, methods.items(), strict=False):
        points = [
            (at, 100 * by_name[name].mean("top1"))
            for at, budget in enumerate(budgets)
            if (name := f"{method}_{budget}") in by_name
            and by_name[name].mean("top1") is not None
        ]
        if points:
            plot.plot(*zip(*points, strict=True), "o-", ms=4, c=colour, label=words)
            said.append(f"{words}: " + ", ".join(f"{top1:.1f}" for _, top1 in points))
    plot.set_xticks(range(len(budgets)), budgets, parse_math=False)
    plot.legend(frameon=False, fontsize=8)
    svg.caption_axes(plot, x="labels", y="test top-1 %, mean")
    alt = f"Test top-1 in percent for {', '.join(budgets)} labels. {'; '.join(said)}."
    return [svg.inline_svg(figure, name="labels", alt=alt)]
