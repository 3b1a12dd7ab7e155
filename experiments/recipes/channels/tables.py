"""What `limbeck reproduce channels` measured, beside what others published.

Fang et al., "DepGraph: Towards Any Structural Pruning", 2023,
https://arxiv.org/abs/2301.12900, table 1, on the true CIFAR-10.
"""

from collections.abc import Sequence

from experiments.recipes.channels.cuts import CUTS, METHODS, NETS
from experiments.recipes.lossy_copy import LOSSY_COPY
from experiments.tables import svg, units
from experiments.tables.percent import percent
from experiments.tables.summary import Summary
from experiments.tables.table import Column, Table, tabulate

DATA = "cifar10"
# Net and cut -> top-1 in percent before, after pruning and tuning, times fewer MACs.
PAPER = {
    ("resnet56", "2x1"): "93.53 → 93.77 (2.13x)",
    ("resnet56", "2x55"): "93.53 → 93.64 (2.57x)",
}
NOTES = (
    LOSSY_COPY,
    "Top-1: of the exported LiteRT file on the test images, mean ± sample standard "
    "deviation over n seeds; the whole nets are one net for all seeds. Change: in "
    "points, of the mean, from the whole net. Right after the cut: on validation, "
    "before any training, weights fitted without labels (from scratch: new weights). "
    "Latency: of one image, median.",
    "The ResNets' published weights were trained on all 50,000 train images, ours for "
    "validation among them: validation is too good for what comes of them.",
    "DepGraph: quoted from Fang et al. (2023), arXiv:2301.12900, table 1 (its group "
    "sparsity with training); on the true CIFAR-10.",
)


def tables(summaries: Sequence[Summary]) -> list[Table]:
    """One line a net, cut and method."""
    by_name = {summary.stage: summary for summary in summaries}
    shown = [each for each in summaries if _parts(each) is not None]
    return [
        tabulate("Nets without some of their channels", _columns(by_name), shown, NOTES)
    ]


def pictures(summaries: Sequence[Summary]) -> list[str]:
    """Test top-1 against MACs, a line a net and method, as SVG."""
    by_name = {each.stage: each for each in summaries if each.mean("top1") is not None}
    figure, plot = svg.axes(520, 320)
    said = []
    for colour, (net, title) in zip(svg.SERIES, NETS.items(), strict=False):
        if net not in by_name:
            continue
        for style, (method, words) in zip(
            ("o-", "s--", "^:"), METHODS.items(), strict=True
        ):
            line = [net, *(f"{net}_{method}_{cut}" for cut in CUTS)]
            line = [by_name[name] for name in line if name in by_name]
            if len(line) < 2:
                continue
            macs = [each.mean("macs") for each in line]
            top1 = [100 * each.mean("top1") for each in line]
            plot.plot(macs, top1, style, c=colour, ms=4, label=f"{title}, {words}")
            listed = ", ".join(f"{value:.1f}" for value in top1)
            said.append(f"{title} {words} {listed}")
    if not said:
        return []
    plot.set_xscale("log")
    plot.legend(frameon=False, fontsize=7)
    svg.caption_axes(plot, x="multiply-accumulates (log)", y="test top-1 %, mean")
    svg.readable_ticks(plot, "")
    alt = f"Test top-1 in percent, whole and with fewer channels. {'; '.join(said)}."
    return [svg.inline_svg(figure, name="channels", alt=alt)]


def _parts(summary):
    """(net, method, cut) of a stage, the last two None of a whole net."""
    net, _, rest = summary.stage.partition("_")
    method, _, cut = rest.partition("_")
    if net not in NETS or (rest and (method not in METHODS or cut not in CUTS)):
        return None
    return net, method or None, cut or None


def _columns(by_name):
    def whole(summary):
        return by_name.get(_parts(summary)[0])

    def fewer(summary):
        base, macs = whole(summary), summary.mean("macs")
        ratio = ""
        if base is not None and base is not summary and macs and base.mean("macs"):
            ratio = f" ({base.mean('macs') / macs:.2f}x)"
        return f"{units.scaled(macs)}{ratio}"

    def change(summary):
        base = whole(summary)
        if base is None or base is summary:
            return ""
        return units.change(base.mean("top1"), summary.mean("top1"))

    def method(summary):
        return METHODS.get(_parts(summary)[1], "whole")

    return (
        Column("net", lambda summary: NETS[_parts(summary)[0]], numeric=False),
        Column("", method, numeric=False),
        Column("MACs (fewer)", fewer),
        Column("right after the cut %", lambda s: units.percent(s.mean("cut_top1"))),
        Column("top-1 %", lambda s: percent(s, "top1")),
        Column("change", change),
        Column("n", lambda summary: str(len(summary.values("top1")))),
        Column("validation top-1 %", lambda s: percent(s, "validation_top1")),
        Column("parameters", lambda s: units.count(s.mean("parameters"))),
        Column("bytes", lambda s: units.scaled(s.mean("bytes"), "B")),
        Column("latency ms", lambda s: units.latency(s.mean("latency_ms"))),
        Column("DepGraph: top-1 %", _published),
    )


def _published(summary):
    net, method, cut = _parts(summary)
    return "" if method == "scratch" else PAPER.get((net, cut), "")
