"""A net as a picture: layers and their inputs, from top to bottom, coloured by kind."""

from pathlib import Path

import keras

from compression.measure import layer_calls
from compression.measure.macs import total_macs
from experiments.nets import layout as net_layout
from experiments.nets import picture_file
from experiments.nets.boxes import KINDS, Box, boxes
from experiments.tables.svg import FAINT, INK, SERIES
from experiments.tables.units import count, scaled

# Beyond blue to ochre of the palette: red for joins, grey for what computes nothing.
COLOURS = dict(zip(KINDS, (INK, *SERIES[:5], SERIES[6], FAINT), strict=True))
NAME_SIZE, WORDS_SIZE, TITLE_SIZE = 8.0, 7.0, 13.0  # points
MARGIN = 0.35  # inches, around everything
HEAD = 0.95  # inches for the title and the legend
SIDE = 0.12  # inches left and right of a box's text
SWATCH = 0.16  # inches, of the legend's coloured squares
TINT = 0.86  # how much white is in a box


def draw(model: keras.Model, path: Path, *, fold: bool | None = None) -> None:
    """Draws the graph of `model` to `path`.

    Args:
        model: a functional model.
        path: a .png or .svg file; it appears whole or not at all.
        fold: whether chains of layers share a box; None: in nets of over 40 layers.

    Raises:
        ValueError: it is no such file, or the model has no graph.
    """
    picture_file.check_path(path)
    calls = layer_calls(model, partial=True)
    drawn = boxes(calls, fold)
    title = f"{model.name}: {count(sum(call.parameters for call in calls))} parameters"
    if (macs := total_macs(calls)) is not None:
        title += f", {scaled(macs)} multiply-accumulates"
    picture_file.save(path, model.name, lambda: _figure(drawn, title))


def _figure(drawn: list[Box], title: str):
    from matplotlib.figure import Figure

    widths = [
        max(
            _text_width(box.name, NAME_SIZE, weight="bold"),
            _text_width(_second_line(box), WORDS_SIZE),
        )
        + 2 * SIDE
        for box in drawn
    ]
    layout = net_layout.place([box.inputs for box in drawn], widths)
    legend = [kind for kind in KINDS if kind in {box.kind for box in drawn}]
    head = max(_text_width(title, TITLE_SIZE), sum(map(_legend_width, legend)))
    width = max(head, layout.width) + 2 * MARGIN
    height = layout.height + HEAD + 2 * MARGIN
    figure = Figure(figsize=(width, height), facecolor="white")
    plot = figure.add_axes((0, 0, 1, 1))
    plot.set_axis_off()
    aside = (width - layout.width) / 2  # a narrow net stands in the middle
    plot.set_xlim(-aside, width - aside)
    plot.set_ylim(height - HEAD - MARGIN, -HEAD - MARGIN)  # y downwards, in inches
    _add_lines(plot, layout)
    for box, centre, box_width in zip(drawn, layout.centres, widths, strict=True):
        _add_box(plot, box, centre, box_width)
    _add_head(plot, title, MARGIN - aside, legend)
    for artist in plot.get_children():
        artist.set_clip_on(False)  # matplotlib's ids of clips differ from run to run
    return figure


def _text_width(text, size, **font):
    """Inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    path = TextPath((0, 0), text, prop=FontProperties(size=size, **font))
    return path.get_extents().width / 72


def _legend_width(kind):
    return SWATCH + 0.06 + _text_width(kind, NAME_SIZE) + 0.22


def _second_line(box):
    shape = "×".join("?" if side is None else str(side) for side in box.output_shape)
    return f"{' · '.join(box.words)}   {shape}"


def _add_box(plot, box, centre, width):
    from matplotlib.patches import FancyBboxPatch

    x, y = centre
    tall = net_layout.BOX_HEIGHT
    colour = COLOURS[box.kind]
    plot.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - tall / 2),
            width,
            tall,
            boxstyle="round,pad=0,rounding_size=0.06",
            facecolor=_tinted(colour),
            edgecolor=colour,
            linewidth=1.1,
            zorder=2,
        )
    )
    middle = {"ha": "center", "va": "center", "color": INK, "zorder": 3}
    plot.text(x, y - 0.085, box.name, size=NAME_SIZE, weight="bold", **middle)
    plot.text(x, y + 0.095, _second_line(box), size=WORDS_SIZE, **middle)


def _tinted(colour):
    from matplotlib.colors import to_rgb

    return tuple(TINT + (1 - TINT) * part for part in to_rgb(colour))


def _add_lines(plot, layout):
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Curve

    def add(vertices, codes):
        plot.add_patch(
            FancyArrowPatch(
                path=Curve(vertices, codes),
                arrowstyle="-|>",
                mutation_scale=7,
                shrinkA=0,
                shrinkB=0,
                color=INK,
                linewidth=0.9,
                zorder=1,
            )
        )

    for points in layout.lines:
        vertices, codes = [points[0]], [Curve.MOVETO]
        for (x, y), (to_x, to_y) in zip(points, points[1:], strict=False):
            half = (y + to_y) / 2
            vertices += [(x, half), (to_x, half), (to_x, to_y)]
            codes += [Curve.CURVE4] * 3
        add(vertices, codes)
    for points in layout.wraps:
        plot.plot(*zip(*points, strict=True), color=FAINT, lw=1.4, zorder=0.5)
    for x, y in layout.ports:
        plot.plot(x, y, "o", ms=3.5, color=FAINT, zorder=2)


def _add_head(plot, title, left, legend):
    from matplotlib.patches import Rectangle

    top = 0.3 - HEAD
    text = {"color": INK, "va": "center"}
    plot.text(left, top, title, size=TITLE_SIZE, **text)
    for kind in legend:
        colours = {"facecolor": _tinted(COLOURS[kind]), "edgecolor": COLOURS[kind]}
        plot.add_patch(Rectangle((left, top + 0.25), SWATCH, SWATCH, **colours))
        x, y = left + SWATCH + 0.06, top + 0.25 + SWATCH / 2
        plot.text(x, y, kind, size=NAME_SIZE, **text)
        left += _legend_width(kind)
