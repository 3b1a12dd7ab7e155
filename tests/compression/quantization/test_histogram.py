"""Histograms that widen: nothing is lost, and the order changes nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compression.quantization.histogram import Histogram


def filled(*batches, bins=8):
    histogram = Histogram(bins)
    for batch in batches:
        histogram.add(np.array(batch))
    return histogram


def contents(histogram):
    return histogram.width, histogram.first, histogram.counts.tolist(), histogram.zeros


def test_bins_by_hand():
    # From -1 to 3 in at most 7 bins, and one for the ends: width 1.
    seen = filled([1, 2.5], [[3, 0], [-1, 0]])
    assert contents(seen) == (1.0, -1, [1, 0, 1, 1, 1], 2)
    assert (seen.low, seen.high) == (-1, 3)
    assert seen.centres.tolist() == [-0.5, 0.5, 1.5, 2.5, 3.5]
    seen.add(np.array([7.5]))  # 8.5 / 7 > 1: width 2, [-2, 0) [0, 2) [2, 4) ...
    assert contents(seen) == (2.0, -1, [1, 1, 2, 0, 1], 2)


def test_nothing_but_zeros():
    seen = filled([0, 0], [], [0])
    assert contents(seen) == (None, 0, [], 3)
    assert (seen.low, seen.high) == (0, 0)


@given(
    st.lists(
        st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=9),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([2, 8, 64]),
)
def test_order_changes_nothing_and_all_are_counted(batches, bins):
    seen, again = filled(*batches, bins=bins), filled(*reversed(batches), bins=bins)
    assert contents(seen) == contents(again)
    values = np.concatenate([np.asarray(batch, np.float32) for batch in batches])
    assert seen.counts.sum() + seen.zeros == len(values)
    assert len(seen.counts) <= bins + 1
    if seen.width is not None:
        wanted = np.floor(values[values != 0] / np.float32(seen.width)).astype(int)
        numbers, counts = np.unique(wanted, return_counts=True)
        np.testing.assert_array_equal(seen.counts[numbers - seen.first], counts)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match="not finite"):
        filled([1.0, value])
