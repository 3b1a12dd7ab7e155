"""Balanced weights by hand, and their law."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from experiments.training.class_weights import balanced


def test_by_hand():
    """Six images, two of four classes without any: 6 / (2 * 4) and 6 / (2 * 2)."""
    assert balanced(np.array([0, 2, 0, 0, 2, 0]), 4) == [0.75, 0.0, 1.5, 0.0]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=50))
def test_each_class_weighs_as_much_and_the_mean_is_one(labels):
    weights = np.array(balanced(np.array(labels), 5))[labels]
    assert np.isclose(weights.mean(), 1)
    masses = np.bincount(labels, weights)
    np.testing.assert_allclose(masses[masses > 0], masses.max())
