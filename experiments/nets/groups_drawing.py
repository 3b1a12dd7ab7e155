"""Groups of channels as a picture: a row a layer, a column a group."""

from collections.abc import Sequence
from pathlib import Path

import keras

from compression.pruning.channels.groups import Group, couple
from experiments.nets import picture_file
from experiments.tables.svg import FAINT, INK, SERIES

ROW, COLUMN = 0.19, 0.34  # inches
NAME_SIZE, HEAD_SIZE, TITLE_SIZE = 7.5, 7.0, 12.0  # points
HEAD, FOOT, MARGIN = 0.85, 0.15, 0.3  # inches
MARKS = {  # what a layer is to a group: marker, size in points, filled
    "makes": ("s", 8, True),
    "scales": ("o", 5, True),
    "reads": ("v", 7, False),
}


def draw(model: keras.Model, path: Path) -> None:
    """Draws the groups of `model` to `path`.

    Layers stand in the order of calls, groups in that of their first layer, with the
    number of their channels above; groups that stay whole are grey.

    Args:
        model: a functional model.
        path: a .png or .svg file; it appears whole or not at all.

    Raises:
        ValueError: it is no such file; or the model has no graph, or layers that no
            rule covers.
    """
    picture_file.check_path(path)
    coupling = couple(model)
    marked = {path for group in coupling.groups for path in _paths(group)}
    rows = [path for path in coupling.parts if path in marked]
    picture_file.save(
        path, model.name, lambda: _figure(model.name, rows, coupling.groups)
    )


def _figure(name: str, rows: Sequence[str], groups: Sequence[Group]):
    from matplotlib.figure import Figure

    side = MARGIN + 0.075 * max(map(len, rows))  # inches of the longest name
    width = max(side + COLUMN * len(groups) + MARGIN, 6)
    height = HEAD + ROW * len(rows) + FOOT + MARGIN
    figure = Figure(figsize=(width, height), facecolor="white")
    plot = figure.add_axes((0, 0, 1, 1))
    plot.set_axis_off()
    plot.set_xlim(0, width)
    plot.set_ylim(height, 0)  # inches, downwards
    down = {path: HEAD + ROW * (i + 0.5) for i, path in enumerate(rows)}
    for path, y in down.items():
        plot.plot([side, width - MARGIN], [y, y], color=FAINT, lw=0.3, zorder=0)
        plot.text(side - 0.1, y, path, size=NAME_SIZE, ha="right", **_text())
    for at, group in enumerate(groups):
        colour = FAINT if group.kept else SERIES[at % len(SERIES)]
        _add_group(plot, group, side + COLUMN * (at + 0.5), down, colour)
    free = sum(not group.kept for group in groups)
    title = f"{name}: {len(groups)} groups of channels, {free} may lose some"
    plot.text(MARGIN, 0.28, title, size=TITLE_SIZE, **_text())
    x = MARGIN
    for word in MARKS:
        _mark(plot, word, x + 0.06, 0.55, INK)
        plot.text(x + 0.18, 0.55, word, size=NAME_SIZE, **_text())
        x += 0.75
    plot.text(x, 0.55, "grey: stays whole", size=NAME_SIZE, **_text())
    return figure


def _paths(group):
    return (*group.makers, *group.followers, *group.readers)


def _add_group(plot, group, x, down, colour):
    roles = {"makes": group.makers, "scales": group.followers, "reads": group.readers}
    heights = [down[path] for path in _paths(group)]
    plot.plot([x, x], [min(heights), max(heights)], color=colour, lw=1.4, zorder=1)
    plot.text(
        x, HEAD - 0.06, len(group.units), size=HEAD_SIZE, color=colour, ha="center"
    )
    for word, paths in roles.items():
        for path in paths:
            _mark(plot, word, x, down[path], colour)


def _mark(plot, word, x, y, colour):
    marker, size, filled = MARKS[word]
    plot.plot(
        x,
        y,
        marker,
        ms=size,
        color=colour,
        mfc=colour if filled else "white",
        mew=1.1,
        zorder=2,
    )


def _text():
    return {"color": INK, "va": "center", "parse_math": False}
