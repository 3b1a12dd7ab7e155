"""Magnitude masks: exact counts, ties, order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from compression.pruning import magnitude_masks

WEIGHTS = st.lists(
    arrays(
        np.float32,
        array_shapes(max_dims=3, max_side=6),
        elements=st.integers(-3, 3).map(float),  # plenty of ties
    ),
    min_size=1,
    max_size=3,
)
SPARSITY = st.floats(0, 0.99)


def test_ties_by_hand():
    [mask] = magnitude_masks([np.array([1.0, -1.0, 2.0, 1.0])], 0.5)
    np.testing.assert_array_equal(mask, [0, 0, 1, 1])


def test_layer_and_global_by_hand():
    weights = [np.array([1.0, 2.0]), np.array([3.0, 4.0])]
    per_layer = magnitude_masks(weights, 0.5, scope="layer")
    together = magnitude_masks(weights, 0.5, scope="global")
    np.testing.assert_array_equal(per_layer, [[0, 1], [0, 1]])
    np.testing.assert_array_equal(together, [[0, 0], [1, 1]])


@given(weights=WEIGHTS, sparsity=SPARSITY)
def test_counts_are_exact(weights, sparsity):
    masks = magnitude_masks(weights, sparsity, scope="layer")
    for w, mask in zip(weights, masks, strict=True):
        assert mask.shape == w.shape and mask.dtype == w.dtype
        assert (mask == 0).sum() == round(sparsity * w.size)
        assert np.isin(mask, [0, 1]).all()
    masks = magnitude_masks(weights, sparsity, scope="global")
    size = sum(w.size for w in weights)
    assert sum((mask == 0).sum() for mask in masks) == round(sparsity * size)


@given(weights=WEIGHTS, sparsity=SPARSITY)
def test_nothing_dropped_is_larger_than_anything_kept(weights, sparsity):
    masks = magnitude_masks(weights, sparsity)
    size = np.concatenate([np.abs(w).ravel() for w in weights])
    kept = np.concatenate([mask.ravel() for mask in masks]) == 1
    if kept.any() and not kept.all():
        assert size[~kept].max() <= size[kept].min()


@given(weights=WEIGHTS, low=SPARSITY, more=SPARSITY)
def test_masks_nest_once_weights_are_zero(weights, low, more):
    first = magnitude_masks(weights, low)
    pruned = [w * mask for w, mask in zip(weights, first, strict=True)]
    second = magnitude_masks(pruned, max(low, more))
    for w, mask in zip(pruned, second, strict=True):
        zeros = np.concatenate([x.ravel() == 0 for x in pruned]).sum()
        needed = sum((mask == 0).sum() for mask in second)
        assert ((w != 0) & (mask == 0)).sum() <= max(0, needed - zeros)


def test_bad_settings():
    with pytest.raises(ValueError, match=r"sparsity must be in \[0, 1\), got 1"):
        magnitude_masks([np.ones(3)], 1)
    with pytest.raises(ValueError, match="no scope called 'all'; choose from layer, g"):
        magnitude_masks([np.ones(3)], 0.5, scope="all")
