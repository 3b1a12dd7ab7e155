"""Magnitude masks: exact counts, ties, order."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import architectures
from compression.pruning import magnitude_masks
from compression.pruning.masks import least_kept
from compression.weights import kernels

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
    weights = [np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])]
    per_layer = magnitude_masks(weights, 1 / 3, scope="layer")
    together = magnitude_masks(weights, 1 / 3, scope="global")
    np.testing.assert_array_equal(per_layer, [[0, 1, 1], [0, 1, 1]])
    np.testing.assert_array_equal(together, [[0, 0, 1], [1, 1, 1]])


@given(weights=WEIGHTS, sparsity=SPARSITY)
def test_counts_are_exact(weights, sparsity):
    """Less only where one weight for each array is more than is left."""
    masks = magnitude_masks(weights, sparsity, scope="layer")
    for w, mask in zip(weights, masks, strict=True):
        assert mask.shape == w.shape and mask.dtype == w.dtype
        assert (mask == 0).sum() == min(round(sparsity * w.size), w.size - 1)
        assert np.isin(mask, [0, 1]).all()
    masks = magnitude_masks(weights, sparsity, scope="global")
    size = sum(w.size for w in weights)
    zeros = min(round(sparsity * size), size - len(weights))
    assert sum((mask == 0).sum() for mask in masks) == zeros


@given(weights=WEIGHTS, sparsity=SPARSITY, floor=st.sampled_from([0, 0.01, 0.3, 1]))
def test_what_goes_is_no_larger_than_what_the_floor_does_not_keep(
    weights, sparsity, floor
):
    masks = magnitude_masks(weights, sparsity, floor=floor)
    dropped = np.concatenate(
        [np.abs(w[m == 0]) for w, m in zip(weights, masks, strict=True)]
    )
    for w, mask in zip(weights, masks, strict=True):
        kept = np.sort(np.abs(w[mask == 1]))[::-1]
        held = least_kept(w.size, min(floor, 1 - sparsity))
        assert len(kept) >= held
        assert kept[-1] >= np.abs(w[mask == 0]).max(initial=0)
        if len(kept) > held and len(dropped):
            assert kept[-1] >= dropped.max()


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_no_array_is_emptied(scope):
    generator = np.random.default_rng(0)
    [mask] = magnitude_masks([generator.normal(size=100)], 0.9999, scope=scope)
    assert mask.sum() == 1
    small, large = generator.normal(size=500) / 1000, generator.normal(size=1500)
    masks = magnitude_masks([small, large], 0.9, scope=scope, floor=0)
    assert masks[0].sum() == (50 if scope == "layer" else 1)
    assert masks[0][np.abs(small).argmax()] == 1
    assert sum(mask.sum() for mask in masks) == 200


def test_what_a_floor_is_of_so_many():
    counts = [least_kept(n, 0.01) for n in (1, 99, 100, 250)]
    assert counts == [1, 1, 1, 2]
    assert least_kept(500, 1 - 0.9) == 50


def test_a_floor_holds_each_array_and_the_total_stays_exact():
    generator = np.random.default_rng(0)
    weights = [generator.normal(size=500) / 1000, generator.normal(size=1500)]
    assert [m.sum() for m in magnitude_masks(weights, 0.9)] == [5, 195]
    assert [m.sum() for m in magnitude_masks(weights, 0.9, floor=0.05)] == [25, 175]
    # A floor above what is left means: the same sparsity everywhere.
    assert [m.sum() for m in magnitude_masks(weights, 0.9, floor=1)] == [50, 150]


def test_a_hundredth_of_all_is_not_a_hundredth_of_each():
    weights = [np.arange(1, 10_001) / 1e6, np.arange(1, 10_001) / 1e3]
    assert [m.sum() for m in magnitude_masks(weights, 0.99)] == [10, 190]
    assert [m.sum() for m in magnitude_masks(weights, 0.99, floor=0.01)] == [100, 100]
    assert [m.sum() for m in magnitude_masks(weights, 0.5)] == [100, 9_900]


def test_the_demos_student_at_80_percent_is_untouched_by_the_floor():
    keras.utils.set_random_seed(0)
    student = architectures.build("alexnet_small", input_shape=(28, 28, 1), width=0.125)
    weights = [keras.ops.convert_to_numpy(kernel) for kernel in kernels(student)]
    masks = magnitude_masks(weights, 0.8)
    plain = np.concatenate([np.abs(w).ravel() for w in weights])
    order = np.argsort(plain, kind="stable")  # ties: the first go
    expected = np.ones(plain.size)
    expected[order[: round(0.8 * plain.size)]] = 0
    np.testing.assert_array_equal(np.concatenate([m.ravel() for m in masks]), expected)


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
    for floor in (2, "most"):
        with pytest.raises(ValueError, match=r'floor must be in \[0, 1\], "auto" or N'):
            magnitude_masks([np.ones(3)], 0.5, floor=floor)
    with pytest.raises(ValueError, match="no scope called 'all'; choose from layer, g"):
        magnitude_masks([np.ones(3)], 0.5, scope="all")
