"""Accuracy against a cost: which files are worth their bytes, or their time."""

from collections.abc import Sequence

from experiments.tables import callouts, svg, units
from experiments.tables.callouts import Callout
from experiments.tables.pareto_front import staircase
from experiments.tables.summary import Summary, file_summaries

COSTS = {
    "bytes_zipped": ("size", "zipped bytes", "bytes of the zipped file (log)"),
    "latency_ms": ("latency", "latency", "latency of one image, ms (log)"),
}
SIZE = 440, 310  # points


def pictures(summaries: Sequence[Summary]) -> list[str]:
    """The plots for COSTS, less those for which fewer than two files were measured."""
    return [drawn for cost in COSTS if (drawn := picture(summaries, cost))]


def picture(summaries: Sequence[Summary], cost: str) -> str:
    """The plot for one of COSTS, "" if fewer than two files have been measured."""
    name, title, label = COSTS[cost]
    files = [
        (file, (file.mean(cost), 100 * file.mean("top1")))
        for file in file_summaries(summaries)
        if file.mean("top1") is not None and file.mean(cost)
    ]
    if len(files) < 2:
        return ""
    colour = svg.colours([summary.stage for summary in summaries])
    figure, plot = svg.axes(*SIZE)
    plot.set_xscale("log")
    best = staircase([point for _, point in files])
    plot.plot(*zip(*best, strict=True), color=svg.FAINT, lw=1.2, zorder=1)
    for file, point in files:
        [drawn] = plot.plot(
            *point, "o", ms=5, mew=0, alpha=0.6, color=colour[file.stage]
        )
        drawn.set_gid(svg.tip(_told(file, point, cost)))
    names, points = [], [point for _, point in files]
    for summary in summaries:
        mean = summary.mean(cost), summary.mean("top1")
        if not mean[0] or mean[1] is None:
            continue
        for row in summary.rows if len(summary.rows) > 1 else ():
            if row.get("top1") is not None and row.get(cost):
                point = row[cost], 100 * row["top1"]
                plot.plot(*point, "o", ms=5, mfc="none", color=colour[summary.stage])
                points.append(point)
        point = mean[0], 100 * mean[1]
        [drawn] = plot.plot(
            *point,
            "o",
            ms=10,
            mew=1.5,
            mec=svg.PAPER,
            color=colour[summary.stage],
            zorder=3,
        )
        drawn.set_gid(svg.tip(_told(summary, point, cost)))
        names.append(Callout(summary.stage, point, colour[summary.stage]))
    plot.margins(0.12, 0.14)
    svg.caption_axes(plot, x=label, y="top-1 on test, %")
    svg.readable_ticks(plot, "B" if cost == "bytes_zipped" else None)
    callouts.annotate(figure, plot, names, points=points, line=best)
    alt = f"Accuracy against {title}. " + "; ".join(
        f"{stage}: {y:.2f} % at {_cost(x, cost)}" for stage, (x, y), _ in names
    )
    return svg.inline_svg(figure, name=f"pareto-{name}", alt=alt)


def _told(summary, point, cost):
    form = " ".join(filter(None, (summary.about("format"), summary.about("precision"))))
    x, y = point
    return f"{summary.stage} ({form}): {y:.2f} % at {_cost(x, cost)}"


def _cost(value, cost):
    if cost == "bytes_zipped":
        return units.scaled(value, "B")
    return f"{units.latency(value)} ms"
