"""The Pareto front against its definition; names that stay readable."""

import itertools

from hypothesis import given
from hypothesis import strategies as st
from matplotlib.text import Text

from experiments.report import callouts
from experiments.report.pareto import front
from experiments.tables import svg as drawing

# Few values: ties in cost, in accuracy and in both are common.
POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12)


def beats(one, other):
    return one[0] <= other[0] and one[1] >= other[1] and one != other


@given(POINTS)
def test_front_is_what_nobody_beats(points):
    unbeaten = {
        i
        for i, point in enumerate(points)
        if not any(beats(other, point) for other in points)
    }
    found = front(points)
    assert set(found) == unbeaten
    assert len(found) == len(unbeaten)
    assert [points[i][0] for i in found] == sorted(points[i][0] for i in found)


def test_front_by_hand():
    small, large, worse, twin = (1, 90), (5, 95), (6, 94), (1, 90)
    assert front([large, small, worse, twin]) == [1, 3, 0]


def test_callouts_of_equal_points_do_not_cover_each_other():
    figure, plot = drawing.axes(440, 310)
    names = [callouts.Callout(f"stage{i}", (1.0, 1.0), "k") for i in range(9)]
    plot.plot(1.0, 1.0, "o")
    callouts.place(figure, plot, names, points=[(1.0, 1.0)], line=[(1.0, 1.0)])
    boxes = [Text.get_window_extent(note) for note in plot.texts]
    assert len(boxes) == 9
    assert not any(one.overlaps(two) for one, two in itertools.combinations(boxes, 2))
