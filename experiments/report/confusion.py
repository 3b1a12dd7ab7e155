"""Which classes a stage takes for which: a picture of few, a table of many."""

import numpy as np

from experiments.report.folder import Run
from experiments.report.tables import data_notes
from experiments.tables import svg, units
from experiments.tables.table import Column, as_html, tabulate

MOST_DRAWN = 20  # classes
COMMONEST = 12  # mistakes in the table
CELL = 17  # points
CHARACTERS = 14  # of a class's name


def confusion(run: Run, stage: str) -> np.ndarray | None:
    """Test images by (label, answer), over all seeds; None where none were kept."""
    found = [each for each in run.measured.answers if stage in each.by_stage]
    if not found:
        return None
    names = run.data.get("class_names") or []
    most = max(
        max(each.labels.max(initial=0), each.by_stage[stage].max(initial=0))
        for each in found
    )
    classes = max(len(names), int(most) + 1)
    if classes > 10 * max(len(names), 100):  # no classifier's: not an array of these
        return None
    counts = np.zeros((classes, classes), int)
    for each in found:
        np.add.at(counts, (each.labels, each.by_stage[stage]), 1)
    return counts


def section(run: Run, stage: str) -> str:
    """As HTML; "" where no answers were kept."""
    counts = confusion(run, stage)
    if counts is None or not counts.sum():
        return ""
    names = run.class_names(len(counts))
    at = [summary.stage for summary in run.summaries].index(stage)
    if len(counts) > MOST_DRAWN:
        return as_html(_table(counts, names, data_notes(run)))
    width = 2.3 * len(counts) + 6  # rem
    picture = _picture(counts, names, stage, at)
    return f'<figure style="max-width:{width:.0f}rem">{picture}</figure>'


def _picture(counts, names, stage, at):
    """A square a pair; how full its colour is says how many of a label's images."""
    from matplotlib.patches import Rectangle

    side = CELL * len(names)
    left, top = 6.2 * max(map(len, map(_short, names))) + 12, 22
    width, height = left + side + 4, top + side + left
    figure, plot = svg.axes(width, height, (left, 4, left, top))
    plot.grid(False)
    plot.set(xlim=(0, len(names)), ylim=(len(names), 0))
    plot.spines[:].set_visible(False)
    ticks, short = np.arange(len(names)) + 0.5, [*map(_short, names)]
    plot.set_xticks(ticks, short, rotation=90, parse_math=False)
    plot.set_yticks(ticks, short, parse_math=False)
    plot.tick_params(length=0, labelsize=9)
    totals = np.maximum(counts.sum(1), 1)
    for label, answer in np.ndindex(counts.shape):
        count = int(counts[label, answer])
        right = label == answer
        share = count / totals[label]
        cell = Rectangle(
            (answer + 0.04, label + 0.04),
            0.92,
            0.92,
            lw=0,
            color=svg.FAINT if right else svg.SERIES[1],
            # Mistakes are rare: the root tells one image from none.
            alpha=float(0.08 + (0.4 * share if right else 0.92 * np.sqrt(share))),
        )
        images = "image" if count == 1 else "images"
        what = f"{count:,} {images} of {names[label]}: {names[answer]}"
        cell.set_gid(svg.tip(f"{what} ({100 * share:.1f} %)"))
        plot.add_patch(cell)
        if count and not right:
            plot.text(
                answer + 0.5,
                label + 0.54,
                units.scaled(count).replace(" ", ""),
                ha="center",
                va="center",
                fontsize=7.5,
                color=svg.INK,
            )
    plot.set_title(
        "label down, answer across", loc="left", color=svg.INK, fontsize=10.5
    )
    wrong = int(counts.sum() - np.trace(counts))
    alt = (
        f"{stage}: {wrong:,} of {int(counts.sum()):,} answers are wrong. "
        + "; ".join(
            f"{count} of {names[label]} taken for {names[answer]}"
            for count, label, answer in _mistakes(counts)[:5]
        )
    )
    return svg.inline_svg(figure, name=f"confusion-{at}", alt=alt)


def _table(counts, names, notes):
    columns = (
        Column("label", lambda row: names[row[1]], numeric=False),
        Column("answer", lambda row: names[row[2]], numeric=False),
        Column("images", lambda row: units.count(row[0])),
        Column(
            "% of the label's", lambda row: units.percent(row[0] / counts[row[1]].sum())
        ),
    )
    mistakes = _mistakes(counts)[:COMMONEST]
    return tabulate("Its commonest mistakes", columns, mistakes, notes)


def _mistakes(counts):
    """(images, label, answer), the most first."""
    off = counts.copy()
    np.fill_diagonal(off, 0)
    found = [(int(off[at]), *map(int, at)) for at in zip(*np.nonzero(off), strict=True)]
    return sorted(found, key=lambda each: (-each[0], each[1:]))


def _short(name):
    return name if len(name) <= CHARACTERS else f"{name[: CHARACTERS - 1]}…"
