"""Each change against its definition, computed independently in numpy."""

import math
from statistics import NormalDist

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.data.augment import NAMES, Augment, augmented, draw, random_window
from experiments.data.decoding import window_of

COUNT = 12  # one batch shape: TensorFlow compiles nothing twice


def pictures(channels=3, height=9, width=11, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (COUNT, height, width, channels), dtype=np.uint8)


def drawn(augment, *, seed=0, flips=False, channels=3):
    names = augment.draws(flips=flips, channels=channels)
    return draw(names, seed=tf.constant([seed, 0], tf.int64), count=COUNT)


def change(images, augment, *, seed=0, flips=False, components=None):
    draws = drawn(augment, seed=seed, flips=flips, channels=images.shape[-1])
    return augmented(images, draws, augment, components=components).numpy()


@pytest.mark.parametrize("value", [-1, 1.5])
def test_bad_pad(value):
    with pytest.raises(ValueError, match="pad must be 0 or more whole pixels"):
        Augment(pad=value)


@pytest.mark.parametrize("name", ["colour_jitter", "pca_shift"])
@pytest.mark.parametrize("value", [-0.1, math.inf, math.nan])
def test_bad_sizes(name, value):
    with pytest.raises(ValueError, match=f"{name} must be 0 or more"):
        Augment(**{name: value})


def test_nothing_happens_without_settings():
    images = pictures()
    np.testing.assert_array_equal(change(images, Augment()), images)


def test_draws_do_not_depend_on_what_else_is_drawn():
    """Switching one change on leaves the others as they were."""
    alone = drawn(Augment(pad=2))
    together = drawn(Augment(pad=2, colour_jitter=0.5, random_resized_crop=True))
    np.testing.assert_array_equal(alone["pad_top"], together["pad_top"])
    assert len(set(NAMES)) == len(NAMES)
    rows = np.stack(list(together.values()))
    assert len(np.unique(rows, axis=0)) == len(rows)


@settings(deadline=None, max_examples=25)
@given(
    pad=st.integers(1, 5),
    channels=st.sampled_from([1, 3]),
    flips=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_a_crop_is_a_window_of_the_padded_image(pad, channels, flips, seed):
    images = pictures(channels)
    changed = change(images, Augment(pad=pad), seed=seed, flips=flips)
    height, width = images.shape[1:3]
    for before, after in zip(images, changed, strict=True):
        padded = np.pad(before, ((pad, pad), (pad, pad), (0, 0)))
        windows = [
            padded[top : top + height, left : left + width]
            for top in range(2 * pad + 1)
            for left in range(2 * pad + 1)
        ]
        if flips:
            windows += [window[:, ::-1] for window in windows]
        assert any(np.array_equal(after, window) for window in windows)


def test_every_window_occurs():
    """25 places at pad 2: each about 40 times in 1,000 draws."""
    names = Augment(pad=2).draws(flips=False, channels=1)
    draws = draw(names, seed=tf.constant([3, 0], tf.int64), count=1000)
    image = np.zeros((1000, 5, 5, 1), np.uint8)
    image[:, 2, 2] = 255
    changed = augmented(image, draws, Augment(pad=2)).numpy().reshape(1000, 25)
    counts = np.bincount(changed.argmax(axis=1), minlength=25)
    assert (changed.sum(axis=1) == 255).all()
    assert counts.min() > 15  # 4 deviations below 40


@pytest.mark.parametrize(
    ("setting", "allowed", "expected"),
    [(None, True, True), (None, False, False), (True, False, True)]
    + [(False, True, False), (True, True, True), (False, False, False)],
)
def test_mirrored_only_when_allowed(setting, allowed, expected):
    images = pictures()
    changed = change(images, Augment(flip=setting), flips=allowed)
    mirrored = [
        np.array_equal(after, before[:, ::-1])
        for before, after in zip(images, changed, strict=True)
    ]
    same = [
        np.array_equal(after, before)
        for before, after in zip(images, changed, strict=True)
    ]
    assert all(a != b for a, b in zip(mirrored, same, strict=True))
    assert any(mirrored) == expected
    assert any(same)


def test_pca_shift_by_hand():
    """Section 4.1: [p1, p2, p3][a1 l1, a2 l2, a3 l3]^T is added to every pixel."""
    rng = np.random.default_rng(5)
    vectors, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    values = np.array([0.2, 0.02, 0.004])
    images, augment = pictures(), Augment(pca_shift=0.1)
    changed = change(images, augment, components=(values, vectors))
    draws = {name: column.numpy() for name, column in drawn(augment).items()}
    for i in range(COUNT):
        uniform = [float(draws[f"component{k}"][i]) for k in (1, 2, 3)]
        alpha = [NormalDist(0, 0.1).inv_cdf(u + 2**-24) for u in uniform]
        shift = 255 * vectors @ (np.array(alpha) * values)
        np.testing.assert_allclose(changed[i], images[i] + shift, atol=1e-3)
    assert np.ptp(changed - images, axis=0).max() > 1


def test_pca_shift_survives_a_draw_of_zero():
    draws = {f"component{k}": tf.zeros((COUNT,)) for k in (1, 2, 3)}
    components = (np.ones(3), np.eye(3))
    changed = augmented(
        pictures(), draws, Augment(pca_shift=0.1), components=components
    )
    assert np.isfinite(changed).all()


def test_colour_jitter_by_hand():
    """Brightness, contrast about the mean grey, saturation about each pixel's grey."""
    images, augment = pictures(), Augment(colour_jitter=0.4)
    changed = change(images, augment)
    draws = {name: column.numpy() for name, column in drawn(augment).items()}
    luma = np.array([0.299, 0.587, 0.114])
    for i in range(COUNT):
        by = {name: 0.6 + 0.8 * float(column[i]) for name, column in draws.items()}
        x = np.clip(images[i] * by["brightness"], 0, 255)
        mean = (x @ luma).mean()
        x = np.clip(mean + by["contrast"] * (x - mean), 0, 255)
        grey = (x @ luma)[..., None]
        x = np.clip(grey + by["saturation"] * (x - grey), 0, 255)
        np.testing.assert_allclose(changed[i], x, atol=1e-3)


@settings(deadline=None, max_examples=20)
@given(
    jitter=st.floats(0.01, 3),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 2**31),
)
def test_colour_jitter_stays_in_range(jitter, channels, seed):
    images = pictures(channels)
    changed = change(images, Augment(colour_jitter=jitter), seed=seed)
    assert changed.min() >= 0
    assert changed.max() <= 255
    # A uniform image has no contrast and no saturation: only its brightness moves.
    flat = np.full_like(images, 60)
    ratio = change(flat, Augment(colour_jitter=jitter), seed=seed) / 60
    assert ratio.min() >= max(0, 1 - jitter) - 1e-4
    assert ratio.max() <= min(1 + jitter, 255 / 60) + 1e-4


def test_grey_images_have_no_saturation_and_no_shift():
    names = Augment(colour_jitter=0.5, pca_shift=0.1).draws(flips=False, channels=1)
    assert names == ("brightness", "contrast")


def test_the_largest_window_is_the_image():
    images = pictures(height=12, width=12)
    half = math.log(1 / (3 / 4)) / math.log((4 / 3) / (3 / 4))  # ratio 1
    draws = {
        "area": tf.fill((COUNT,), 1.0),
        "ratio": tf.fill((COUNT,), half),
        "window_top": tf.zeros((COUNT,)),
        "window_left": tf.zeros((COUNT,)),
    }
    changed = augmented(images, draws, Augment(random_resized_crop=True))
    np.testing.assert_allclose(changed, images, atol=1e-3)


def test_windows_of_a_batch_against_numpy():
    """Bilinear at the pixel centres of the enlarged window, edges repeated."""
    side = 16
    images = pictures(height=side, width=side)
    augment = Augment(random_resized_crop=True)
    changed = change(images, augment)
    draws = {name: column.numpy() for name, column in drawn(augment).items()}
    for i in range(COUNT):
        area = side * side * (0.08 + 0.92 * draws["area"][i])
        ratio = (3 / 4) ** (1 - 2 * draws["ratio"][i])  # log-uniform, 3/4 to 4/3
        tall, wide = round((area / ratio) ** 0.5), round((area * ratio) ** 0.5)
        tall, wide = min(tall, side), min(wide, side)
        top = int(draws["window_top"][i] * (side - tall + 1))
        left = int(draws["window_left"][i] * (side - wide + 1))
        steps = (np.arange(side) + 0.5) / side
        rows = (top + steps * tall - 0.5).clip(0, side - 1)
        columns = (left + steps * wide - 0.5).clip(0, side - 1)
        # The hat function of bilinear interpolation, one matrix a direction.
        pixel = np.arange(side)
        from_rows = np.maximum(0, 1 - np.abs(rows[:, None] - pixel))
        from_columns = np.maximum(0, 1 - np.abs(columns[:, None] - pixel))
        expected = np.einsum("yi,xj,ijc->yxc", from_rows, from_columns, images[i])
        np.testing.assert_allclose(changed[i], expected, atol=0.02)


@settings(deadline=None, max_examples=40)
@given(height=st.integers(1, 90), width=st.integers(1, 90), seed=st.integers(0, 999))
def test_any_image_has_a_window(height, width, seed):
    """An image that says its own coordinates: the window is a rectangle of it."""
    rows, columns = np.mgrid[0:height, 0:width]
    image = np.stack([rows, columns, 0 * rows], axis=-1).astype(np.uint8)
    names = Augment(random_resized_crop=True).draws(flips=False, channels=3)
    draws = draw(names, seed=tf.constant([seed, 0], tf.int64), count=1)
    draws = {name: column[0] for name, column in draws.items()}
    window = window_of(tf.constant(image), random_window(draws), 8).numpy()
    assert window.shape == (8, 8, 3)
    assert window[..., 0].max() <= height - 1
    assert window[..., 1].max() <= width - 1
    assert (np.diff(window[..., 0].astype(int), axis=0) >= 0).all()
    assert (np.ptp(window[..., 0].astype(int), axis=1) <= 1).all()  # rounded
