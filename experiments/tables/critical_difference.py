"""The picture of ranks: who is better, and who cannot be told apart."""

from collections.abc import Sequence

from experiments.tables import svg
from experiments.tables.ranks import Ranks

LINE, BAR, HEAD = 15, 7, 46  # points: a name, a bar of a group, the scale


def critical_difference(ranks: Ranks, names: Sequence[str], *, name: str) -> str:
    """A critical-difference diagram (Demšar 2006, figure 1) as SVG.

    Args:
        ranks: of the methods.
        names: of the methods, in the same order.
        name: of the picture, unique in its page.
    """
    order = sorted(range(len(names)), key=ranks.mean.__getitem__)
    half = (len(order) + 1) // 2
    groups = ranks.alike()
    below = HEAD + BAR * (len(groups) + 1)
    height = below + LINE * half + 10
    figure, plot = svg.axes(640, height)
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=0.99)
    worst = len(names)
    room = 0.55 * (worst - 1)  # for the names, on both sides of the scale
    plot.set_xlim(1 - room, worst + room)
    plot.set_ylim(height, 0)
    plot.axis("off")
    ink = {"color": svg.INK, "lw": 1}
    plot.plot([1, worst], [HEAD, HEAD], **ink)
    for rank in range(1, worst + 1):
        plot.plot([rank, rank], [HEAD - 4, HEAD], **ink)
        if rank in (1, worst) or rank % 5 == 0:
            _text(plot, rank, HEAD - 6, str(rank), ha="center", va="bottom")
    width = min(ranks.critical_difference, worst - 1)
    plot.plot([1, 1 + width], [14, 14], color=svg.INK, lw=2)
    said = f"critical difference {ranks.critical_difference:.1f}"
    _text(plot, 1 + width / 2, 11, said, ha="center", va="bottom")
    for line, group in enumerate(groups, start=1):
        ends = [ranks.mean[group[0]], ranks.mean[group[-1]]]
        y = HEAD + BAR * line
        plot.plot(ends, [y, y], color=svg.SERIES[0], lw=3.5, solid_capstyle="round")
    for place, method in enumerate(order):
        left = place < half
        y = below + LINE * (place if left else len(order) - 1 - place) + LINE / 2
        rank = ranks.mean[method]
        edge = 1 - 0.02 * worst if left else worst + 0.02 * worst
        plot.plot([rank, rank, edge], [HEAD, y, y], color=svg.FAINT, lw=0.8)
        side = {"ha": "right" if left else "left", "va": "center"}
        _text(plot, edge, y, f" {names[method]} {rank:.1f} ", **side)
    ranked = ", ".join(f"{names[method]} {ranks.mean[method]:.1f}" for method in order)
    alt = (
        f"Mean ranks, the best first: {ranked}. Ranks that differ by less than "
        f"{ranks.critical_difference:.1f} are not told apart."
    )
    return svg.inline_svg(figure, name=name, alt=alt)


def _text(plot, x, y, text, **options):
    plot.text(x, y, text, color=svg.INK, fontsize=9, parse_math=False, **options)
