"""Splits are fixed, disjoint and stratified; statistics are those of the pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.data import Split, load, splits
from experiments.data.splits import (
    pixel_statistics,
    seventy_ten_twenty,
    spread,
    stratified_cut,
)


def test_mnist5k_counts_and_classes():
    data = load("mnist5k")
    assert data.image_shape == (28, 28, 1)
    assert data.class_names == tuple("0123456789")
    assert not data.flips
    assert data.note == ""
    for split, of_each in ((data.train, 350), (data.validation, 50), (data.test, 100)):
        assert split.images.dtype == np.uint8
        assert split.labels.dtype == np.int64
        np.testing.assert_array_equal(np.bincount(split.labels), [of_each] * 10)
        assert (np.diff(split.labels) < 0).mean() > 0.3, "sorted by class"


def test_mnist5k_splits_are_disjoint_and_hold_every_digit():
    data = load("mnist5k")
    parts = [data.train, data.validation, data.test]
    images = np.concatenate([part.images for part in parts]).reshape(5000, -1)
    assert len(np.unique(images, axis=0)) == 5000


def test_the_split_never_changes():
    """Golden: `stratified_cut` of 20 labels, by the release that made our tables."""
    labels = np.arange(20) % 2
    train, validation, test = stratified_cut(
        labels, validation=np.array([1, 1]), test=np.array([2, 2])
    )
    assert test.tolist() == [11, 3, 2, 18]
    assert validation.tolist() == [13, 8]
    assert sorted([*train, *validation, *test]) == list(range(20))


def test_digits_keep_their_grey_levels():
    data = load("digits")
    sizes = (data.train.size, data.validation.size, data.test.size)
    assert sum(sizes) == 1797
    np.testing.assert_allclose(np.array(sizes) / 1797, [0.7, 0.1, 0.2], atol=0.01)
    assert set(np.unique(data.train.images)) == {round(i * 255 / 16) for i in range(17)}


def test_image_size_resizes():
    data = load("digits", image_size=28)
    assert data.image_shape == (28, 28, 1)
    assert data.train.images.shape[1:] == (28, 28, 1)
    small = load("digits")
    np.testing.assert_array_equal(data.test.labels, small.test.labels)
    np.testing.assert_allclose(  # a resize keeps the mean grey
        data.test.images.mean(axis=(1, 2, 3)),
        small.test.images.mean(axis=(1, 2, 3)),
        atol=6,
    )


def test_validation_can_be_chosen_and_leaves_the_test_split_alone():
    usual, data = load("mnist5k"), load("mnist5k", validation=1000)
    np.testing.assert_array_equal(np.bincount(data.validation.labels), [100] * 10)
    assert data.train.size == 3000
    np.testing.assert_array_equal(data.test.images, usual.test.images)


@pytest.mark.parametrize("validation", [0, -1, 4000])
def test_validation_out_of_range(validation):
    with pytest.raises(ValueError, match="between 1 and 3999 images"):
        load("mnist5k", validation=validation)


def test_image_size_out_of_range():
    with pytest.raises(ValueError, match="take more than 16 GiB .*=8000: choose"):
        load("digits", image_size=8000)
    with pytest.raises(ValueError, match="must be 1 to 8192 pixels, got 10000"):
        load("digits", image_size=10_000)
    with pytest.raises(ValueError, match="image_size must be 1 to 8192 pixels, got 0"):
        load("mnist5k", image_size=0)


@given(
    counts=st.lists(st.integers(3, 60), min_size=2, max_size=8),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_split_is_a_stratified_partition(counts, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    np.random.default_rng(seed).shuffle(labels)
    parts = seventy_ten_twenty(labels, validation=None)
    assert sorted(np.concatenate(parts)) == list(range(len(labels)))
    for part, share in zip(parts, (0.7, 0.1, 0.2), strict=True):
        found = np.bincount(labels[part], minlength=len(counts))
        assert (found >= 1).all()
        assert (np.abs(found - share * np.array(counts)) <= 1.5).all()


@given(
    counts=st.lists(st.integers(1, 100), min_size=1, max_size=20),
    share=st.floats(0, 1),
)
def test_spread_is_proportional_and_exact(counts, share):
    counts = np.array(counts)
    total = int(share * counts.sum())
    shares = spread(counts, total)
    assert shares.sum() == total
    assert (shares <= counts).all()
    assert (np.abs(shares - counts * total / counts.sum()) < 1 + 1e-9).all()


def test_statistics_by_hand():
    images = np.zeros((2, 1, 2, 3), np.uint8)
    images[..., 0] = [[[0, 255]], [[0, 255]]]  # mean 1/2, deviation 1/2
    images[..., 1] = 51  # never changes: 1/5, and divided by 1
    images[..., 2] = [[[0, 0]], [[0, 255]]]  # mean 1/4, deviation sqrt(3)/4
    mean, std = pixel_statistics(Split("train", 2, images=images), (1, 2, 3))
    np.testing.assert_allclose(mean, [0.5, 0.2, 0.25], rtol=1e-12)
    np.testing.assert_allclose(std, [0.5, 1.0, 3**0.5 / 4], rtol=1e-12)


def test_grey_data_has_no_colour_components():
    with pytest.raises(ValueError, match="mnist5k has no colours"):
        load("mnist5k").colour_components  # noqa: B018


def test_large_images_are_worked_on_a_few_at_a_time(monkeypatch):
    """Nothing comes out otherwise."""
    assert splits.chunk_size((64, 64, 3)) == splits.CHUNK
    assert splits.chunk_size((1024, 1024)) == 16
    assert splits.chunk_size((8192, 8192)) == 1
    whole = load("digits", image_size=16)
    monkeypatch.setattr(splits, "CHUNK_PIXELS", 1000)
    few = load("digits", image_size=16)
    np.testing.assert_array_equal(few.test.images, whole.test.images)
    assert (few.mean, few.std) == (whole.mean, whole.std)
