"""Names beside points stay readable."""

import itertools

from matplotlib.text import Text

from experiments.tables import callouts, svg


def test_callouts_of_equal_points_do_not_cover_each_other():
    figure, plot = svg.axes(440, 310)
    names = [callouts.Callout(f"stage{i}", (1.0, 1.0), "k") for i in range(9)]
    plot.plot(1.0, 1.0, "o")
    callouts.annotate(figure, plot, names, points=[(1.0, 1.0)], line=[(1.0, 1.0)])
    boxes = [Text.get_window_extent(note) for note in plot.texts]
    assert len(boxes) == 9
    assert not any(one.overlaps(two) for one, two in itertools.combinations(boxes, 2))
