"""Ranks against the example of Demšar (2006), and pictures of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.tables.critical_difference import critical_difference
from experiments.tables.ranks import rank_correlation, ranked

# Table 5a: critical values of Nemenyi's test at 5 %, for 3 to 10 methods.
NEMENYI = (2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164)
SCORES = ((0.9, 0.8, 0.7), (0.6, 0.6, 0.5), (0.2, 0.4, 0.3), (0.8, 0.7, 0.6))


@pytest.mark.parametrize(("methods", "value"), [*enumerate(NEMENYI, start=3)])
def test_critical_differences_are_those_of_the_paper(methods, value):
    scores = np.random.default_rng(0).normal(size=(14, methods))
    expected = value * np.sqrt(methods * (methods + 1) / (6 * 14))
    assert ranked(scores).critical_difference == pytest.approx(expected, rel=4e-4)


def test_equal_scores_share_a_rank():
    ranks = ranked(SCORES)  # 1 2 3, 1.5 1.5 3, 3 1 2, 1 2 3
    assert ranks.mean == (1.625, 1.625, 2.75)


def test_friedman_s_test_without_ties_is_its_closed_form():
    scores = np.random.default_rng(1).normal(size=(9, 3)) + [0, 0.5, 1]
    ranks = ranked(scores)
    square = 12 * 9 / (3 * 4) * (np.square(ranks.mean).sum() - 3 * 16 / 4)
    assert ranks.p_value == pytest.approx(np.exp(-square / 2))  # 2 degrees of freedom
    assert ranked(np.ones((4, 3))).p_value == 1.0


def test_intervals_are_those_of_student():
    ranks = ranked([[3, 2, 1], [3, 2, 1], [2, 3, 1]])
    # Ranks 1, 1, 2: deviation 0.577, t of 2 degrees 4.303.
    assert ranks.mean[0] == pytest.approx(4 / 3)
    assert ranks.interval[0] == pytest.approx(4.3027 * 0.57735 / 3**0.5, rel=1e-4)
    assert ranks.interval[2] == 0


def test_groups_are_the_largest_that_are_not_told_apart():
    scores = np.tile([5.0, 4.0, 3.0, 2.0, 1.0], (40, 1))
    ranks = ranked(scores)  # ranks 1 to 5; critical difference 0.96
    assert ranks.critical_difference == pytest.approx(6.10 / np.sqrt(40), abs=2e-3)
    assert ranks.alike() == []
    near = ranked(scores[:20])  # 1.36: neighbours alone
    assert near.alike() == [(0, 1), (1, 2), (2, 3), (3, 4)]


@given(
    st.integers(2, 6).flatmap(
        lambda n: st.lists(
            st.lists(st.integers(0, 4), min_size=n + 1, max_size=n + 1),
            min_size=2,
            max_size=6,
        )
    )
)
def test_ranks_of_any_scores(scores):
    ranks = ranked(scores)
    methods = len(scores[0])
    assert sum(ranks.mean) == pytest.approx(methods * (methods + 1) / 2)
    assert 0 <= ranks.p_value <= 1
    better = ranked([[10 * value + 1 for value in row] for row in scores])
    assert better.mean == pytest.approx(ranks.mean)
    for group in ranks.alike():
        span = ranks.mean[group[-1]] - ranks.mean[group[0]]
        assert len(group) > 1 and span <= ranks.critical_difference


@pytest.mark.parametrize("scores", [[[1, 2, 3]], [[1, 2], [3, 4]], [], [1, 2, 3]])
def test_too_little_is_refused(scores):
    with pytest.raises(ValueError, match="at least 2 comparisons of 3 methods, got"):
        ranked(scores)


def test_correlation_of_orders():
    assert rank_correlation([1, 2, 3], [10, 20, 21]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    assert np.isnan(rank_correlation([1, 2, 3], [1, 1, 1]))


def test_the_picture_names_every_method_once():
    names = ["plain", "a & b", "other"]
    picture = critical_difference(ranked(SCORES), names, name="some")
    for shown in ("plain 1.6", "a &amp; b 1.6", "other 2.8"):
        assert picture.count(shown) == 2  # in the picture and in its words
    assert "critical difference 1.7" in picture
    assert "less than 1.7 are not told apart" in picture
