"""Nets on the same test images, and McNemar's test of them."""

import numpy as np
import pytest

from experiments.report.same_images import by_chance, table


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(0, 0, 1), (3, 3, 1), (0, 5, 2 / 32), (5, 0, 2 / 32), (1, 8, 2 * (1 + 9) / 512)],
)
def test_chance_by_hand(first, second, expected):
    assert by_chance(first, second) == pytest.approx(expected)


def test_many_images_are_counted_exactly():
    scipy_stats = pytest.importorskip("scipy.stats")
    expected = scipy_stats.binomtest(900, 2000).pvalue
    assert by_chance(900, 1100) == pytest.approx(expected)


def test_a_line_a_net():
    labels = np.array([0, 0, 1, 1])
    answers = {
        "a": np.array([0, 0, 1, 0]),  # the last is wrong
        "b": np.array([0, 1, 0, 1]),  # the two in the middle are
    }
    found = table(labels, answers, "a", "title")
    [cells] = [[cell.text for cell in row] for row in found.cells]
    assert cells == ["b", "25.00", "1", "2", "1", "1.0000"]
    assert [column.heading for column in found.columns][3:5] == [
        "only a",
        "only the stage",
    ]
    assert table(labels, answers, "c", "title") is None
    assert table(labels, {"a": answers["a"]}, "a", "title") is None
