"""The Pareto front against its definition."""

from hypothesis import given
from hypothesis import strategies as st

from experiments.tables.pareto_front import front, staircase

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


def test_the_staircase_rises_where_more_is_bought():
    points = [(5, 95), (1, 90), (6, 94)]
    assert staircase(points) == [(1, 90), (5, 90), (5, 95), (5, 95)]
    assert staircase([]) == []
