"""What `limbeck compress` tried: a table and two plots of all candidates."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.tables import svg, units
from experiments.tables.pareto_front import staircase
from experiments.tables.table import Column, Table, tabulate

TITLE = "What was tried"
COSTS = {  # key -> its word, the axis, the unit of ticks
    "bytes": ("bytes", "bytes of the int8 file (log)", "B"),
    "latency_ms": ("latency", "latency of one image, ms (log)", None),
    "bytes_zipped": ("zipped", "bytes of the int8 file, zipped (log)", "B"),
}
SIZE = 440, 310  # points
UNTRAINED = "untrained"
TAKEN = "taken"
NOTE = (
    "Top-1 is of validation images, by which the choice was made. What untrained "
    "candidates take is estimated, and their accuracy is that of the float net right "
    "after the cut."
)


def table(found: Mapping[str, Any]) -> Table:
    """All candidates that were trained, and how many were not."""
    rows = [row for row in found["tried"] if row["how"] != UNTRAINED]
    few = len(found["tried"]) - len(rows)
    rows.sort(key=lambda row: row["bytes"])
    columns = [
        Column("candidate", lambda row: row["what"], numeric=False),
        Column("file", _made_by, numeric=False),
        Column("top-1, %", lambda row: units.percent(row["top1"])),
        Column("bytes", lambda row: units.count(row["bytes"])),
        Column("ms", lambda row: units.latency(row["latency_ms"])),
        Column("MACs", lambda row: units.scaled(row["macs"])),
    ]
    if any(row["arena_bytes"] for row in rows):
        columns.append(Column("arena", lambda row: units.count(row["arena_bytes"])))
    if any(row.get("bytes_zipped") for row in rows):
        zipped = Column("zipped", lambda row: units.count(row["bytes_zipped"]))
        columns.insert(4, zipped)
    before = f"{few} more were judged before any training. " if few else ""
    return tabulate(TITLE, columns, rows, [before + NOTE])


def _made_by(row):
    return f"{row['how']}, taken" if row.get(TAKEN) else row["how"]


def words(found: Mapping[str, Any]) -> Sequence[str]:
    """Why the one was taken, and what a little more or less would cost."""
    if found["why"] is None:
        return ("Nothing that was tried meets the limits.",)
    taken = next(row for row in found["tried"] if row.get(TAKEN))
    return (f"Taken: {taken['what']}, {found['why']}.", *found["steps"])


def pictures(found: Mapping[str, Any]) -> list[str]:
    """Accuracy against bytes and latency, and zipped bytes where asked, an SVG each."""
    rows = [row for row in found["tried"] if row["top1"] is not None]
    if len(rows) < 2:
        return []
    known = [cost for cost in COSTS if all(row.get(cost) for row in rows)]
    return [_picture(rows, found["reference"], cost) for cost in known]


def _picture(rows, reference, cost):
    word, label, unit = COSTS[cost]
    figure, plot = svg.axes(*SIZE)
    plot.set_xscale("log")
    kinds = list(dict.fromkeys(row["how"] for row in rows))
    colour = svg.colours(kinds)
    for kind in kinds:
        points = [(r[cost], 100 * r["top1"]) for r in rows if r["how"] == kind]
        plot.plot(
            *zip(*points, strict=True),
            "o",
            ms=4 if kind == UNTRAINED else 8,
            alpha=0.45 if kind == UNTRAINED else 0.9,
            mew=0,
            color=colour[kind],
            label=kind,
        )
    trained = [(r[cost], 100 * r["top1"]) for r in rows if r["how"] != UNTRAINED]
    if trained:
        best = staircase(trained)
        plot.plot(*zip(*best, strict=True), color=svg.FAINT, lw=1.2, zorder=1)
    for row in rows:
        if row.get(TAKEN):
            point = row[cost], 100 * row["top1"]
            plot.plot(*point, "o", ms=14, mfc="none", mec=svg.INK)
    plot.axhline(100 * reference, color=svg.FAINT, lw=0.8, ls=":")
    plot.legend(frameon=False, fontsize=9, labelcolor=svg.INK)
    plot.margins(0.08, 0.1)
    svg.caption_axes(plot, x=label, y="top-1 on validation, %")
    svg.readable_ticks(plot, unit)
    alt = f"Accuracy against {word} of {len(rows)} candidates; {'; '.join(kinds)}."
    return svg.inline_svg(figure, name=f"tried-{word}", alt=alt)
