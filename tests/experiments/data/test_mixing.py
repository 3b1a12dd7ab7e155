"""Mixup and CutMix: labels say exactly what the images are made of."""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.data import load
from experiments.data.augment import Augment
from experiments.data.mixing import mixed
from experiments.data.pipeline import evaluation_batches, training_batches

BATCH, SIDE = 6, 10
MANY = 2000
RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(BATCH, SIDE, SIDE + 2, 3)).astype(np.float32)
LABELS = np.eye(BATCH, dtype=np.float32)  # each image its own class
PARTNERS = np.roll(IMAGES, 1, axis=0)


def mix(seed, mixup=None, cutmix=None):
    images, labels = mixed(
        tf.constant(IMAGES), tf.constant(LABELS), mixup=mixup, cutmix=cutmix,
        seed=tf.constant([seed, 0], tf.int64),
    )  # fmt: skip
    return images.numpy(), labels.numpy()


def shares(labels):
    """The share of each image itself; what is left is its partner's."""
    own = np.diag(labels)
    partner = np.roll(np.eye(BATCH), 1, axis=0)
    np.testing.assert_allclose(
        labels, own[:, None] * np.eye(BATCH) + (1 - own[:, None]) * partner, atol=1e-6
    )
    return own


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**31), alpha=st.floats(0.05, 8))
def test_mixup_by_hand(seed, alpha):
    images, labels = mix(seed, mixup=alpha)
    own = shares(labels)
    assert np.ptp(own) == 0  # one share for the batch, as in the paper's code
    expected = own[0] * IMAGES + (1 - own[0]) * PARTNERS
    np.testing.assert_allclose(images, expected, atol=1e-5)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**31), alpha=st.floats(0.05, 8))
def test_cutmix_is_a_box_and_its_label_the_true_area(seed, alpha):
    images, labels = mix(seed, cutmix=alpha)
    own = shares(labels)[0]
    cut = (images == PARTNERS).all(axis=(0, 3))
    np.testing.assert_array_equal(images, np.where(cut[..., None], PARTNERS, IMAGES))
    assert own == pytest.approx(1 - cut.mean(), abs=1e-6)
    rows, columns = cut.any(axis=1), cut.any(axis=0)
    np.testing.assert_array_equal(cut, rows[:, None] & columns)
    for line in (rows, columns):  # in one piece
        assert (np.diff(np.flatnonzero(line)) == 1).all()


def many_shares(**ways):
    """Of many batches, compiled once."""

    def one(number):
        images = tf.ones((2, 8, 8, 1)) * [[[[1.0]]], [[[0.0]]]]
        seed = tf.stack([number, 0])
        mixed_images, labels = mixed(images, tf.eye(2), **ways, seed=seed)
        return labels[0, 0], tf.math.reduce_std(mixed_images[0]) == 0

    own, flat = tf.data.Dataset.range(MANY).map(one).batch(MANY).get_single_element()
    return own.numpy(), flat.numpy()


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_the_share_is_beta_distributed(alpha):
    own, _ = many_shares(mixup=alpha, cutmix=None)
    variance = 1 / (4 * (2 * alpha + 1))
    error = math.sqrt(variance / MANY)
    assert own.mean() == pytest.approx(0.5, abs=4 * error)
    assert own.var() == pytest.approx(variance, rel=0.12)
    assert (own >= 0).all() and (own <= 1).all()


def test_the_smallest_alpha_gives_numbers():
    own, _ = many_shares(mixup=1e-4, cutmix=None)
    assert np.isin(own, (0, 1)).mean() > 0.9 and np.isfinite(own).all()


def test_with_both_every_other_batch_is_cut():
    own, flat = many_shares(mixup=1.0, cutmix=1.0)
    whole = np.isin(own, (0, 1))  # an empty box or a full one
    assert flat[~whole].mean() == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(MANY))


def test_pipelines_labels_are_distributions_only_when_images_are_mixed():
    data = load("digits")

    def batches(first=0, **options):
        made = training_batches(
            data, batch_size=400, seed=4, augment=Augment(pad=1, **options),
            first_epoch=first,
        )  # fmt: skip
        return list(made.dataset.take(6 - 3 * first).as_numpy_iterator())

    plain, both = batches(), batches(mixup=0.4, cutmix=1.0)
    own = []
    for (images, labels), (changed, soft) in zip(plain, both, strict=True):
        assert labels.dtype == np.int64 and soft.dtype == np.float32
        assert soft.shape == (400, 10)
        share = soft[labels != np.roll(labels, 1)].max(axis=1)[0]
        hard = np.eye(10)[labels]
        fits = [
            np.allclose(soft, s * hard + (1 - s) * np.roll(hard, 1, 0), atol=1e-6)
            for s in (share, 1 - share)
        ]
        assert any(fits)
        if share != 1:
            assert (changed != images).any()
        own.append(share)
    assert len(set(own)) > 3  # a draw for every step of both epochs
    for row, again in zip(
        both[3:], batches(first=1, mixup=0.4, cutmix=1.0), strict=True
    ):
        np.testing.assert_array_equal(row[0], again[0])  # as after a resume
        np.testing.assert_array_equal(row[1], again[1])
    validation = evaluation_batches(data, "validation", as_distributions=True)
    hard = evaluation_batches(data, "validation")
    for (_, soft), (_, labels) in zip(validation, hard, strict=True):
        np.testing.assert_array_equal(soft, np.eye(10)[labels])


def test_replayed_outputs_are_refused():
    data = load("digits")
    outputs = {"teacher_logits": np.zeros((1, data.train.size, 10), np.float32)}
    with pytest.raises(ValueError, match="teacher_outputs are of whole images.*leave"):
        training_batches(
            data, batch_size=8, seed=0, augment=Augment(mixup=0.2),
            teacher_outputs=outputs,
        )  # fmt: skip


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
@pytest.mark.parametrize("value", [0, -1.0, math.inf, math.nan])
def test_bad_alphas(name, value):
    with pytest.raises(ValueError, match=f"{name} must be positive or None, got"):
        Augment(**{name: value})
