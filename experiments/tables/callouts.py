"""Names beside the points of a plot, where they cover neither points nor each other."""

from collections.abc import Sequence
from typing import NamedTuple

from experiments.tables.svg import FAINT


class Callout(NamedTuple):
    """A text for a point of the data."""

    text: str
    point: tuple[float, float]
    colour: str


DIRECTIONS = (  # of the text from its point, the better ones first; its near side
    (1, 0, "left", "center"),
    (-1, 0, "right", "center"),
    (0, 1, "center", "bottom"),
    (0, -1, "center", "top"),
    (0.7, 0.7, "left", "bottom"),
    (-0.7, 0.7, "right", "bottom"),
    (0.7, -0.7, "left", "top"),
    (-0.7, -0.7, "right", "top"),
)
DISTANCES = (9, 20, 34, 50, 68)  # points; beyond the first, a thin line leads there
# What a position costs. A half-covered label is worse than one that lies far away.
OUTSIDE, ON_TEXT, ON_POINT, ON_LINE, FARTHER = 100, 20, 4, 1, 1.5


def annotate(
    figure,
    plot,
    callouts: Sequence[Callout],
    *,
    points: Sequence[tuple[float, float]],
    line: Sequence[tuple[float, float]],
) -> None:
    """Write each callout at the cheapest position around its point, one by one.

    Args:
        figure, plot: of matplotlib; limits and ticks of the plot are final.
        callouts: what to write.
        points: smaller points that should stay visible.
        line: corners of a line that should.
    """
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    to_screen = plot.transData.transform
    occupied = [(_around(to_screen(point), 4), ON_POINT) for point in points]
    occupied += [
        (_around(to_screen(callout.point), 7), ON_POINT) for callout in callouts
    ]
    corners = to_screen(line)
    for start, stop in zip(corners[:-1], corners[1:], strict=True):
        on_line = np.linspace(start, stop, 20)
        occupied += [(_around(at, 1), ON_LINE) for at in on_line]
    inside = plot.get_window_extent()
    for callout in callouts:
        best, cheapest = None, None
        for ring, distance in enumerate(DISTANCES):
            for direction in DIRECTIONS:
                box = _extent(plot, callout, distance, direction)
                cost = FARTHER * ring + OUTSIDE * (not _holds(inside, box))
                cost += sum(price for each, price in occupied if box.overlaps(each))
                if cheapest is None or cost < cheapest:
                    best, cheapest = (distance, direction, box), cost
            if cheapest <= FARTHER * ring:
                break
        distance, direction, box = best
        _written(plot, callout, distance, direction)
        occupied.append((box, ON_TEXT))


def _written(plot, callout, distance, direction):
    x, y, horizontal, vertical = direction
    leads = {"arrowstyle": "-", "color": FAINT, "lw": 0.6, "shrinkA": 1, "shrinkB": 6}
    return plot.annotate(
        callout.text,
        callout.point,
        (x * distance, y * distance),
        textcoords="offset points",
        ha=horizontal,
        va=vertical,
        color=callout.colour,
        fontsize=10,
        fontweight="bold",
        parse_math=False,
        arrowprops=leads if distance > DISTANCES[0] else None,
    )


def _extent(plot, callout, distance, direction):
    """Where the text would be."""
    from matplotlib.text import Text

    note = _written(plot, callout, distance, direction)
    note.update_positions(note.get_figure().canvas.get_renderer())
    box = Text.get_window_extent(note)  # an annotation's has the leading line in it
    note.remove()
    return box


def _holds(inside, box):
    return (
        inside.x0 <= box.x0
        and box.x1 <= inside.x1 + 8
        and inside.y0 <= box.y0
        and box.y1 <= inside.y1
    )


def _around(at, radius):
    from matplotlib.transforms import Bbox

    x, y = at
    return Bbox([[x - radius, y - radius], [x + radius, y + radius]])
