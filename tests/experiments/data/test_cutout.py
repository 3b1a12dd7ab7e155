"""Cutout against plain numpy slices, and its law of areas."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.data.augment import Augment, draw
from experiments.data.cutout import cut_out, inside

HEIGHT, WIDTH, COUNT = 9, 11, 12


@settings(deadline=None, max_examples=25)
@given(size=st.integers(1, 9), seed=st.integers(0, 2**31))
def test_a_square_is_zero_and_clipped_at_the_edges(size, seed):
    rng = np.random.default_rng(0)
    images = rng.uniform(1, 2, (COUNT, HEIGHT, WIDTH, 3)).astype(np.float32)
    names = Augment(cutout=size).draws(flips=False, channels=3)
    draws = draw(names, seed=tf.constant([seed, 0], tf.int64), count=COUNT)
    changed = cut_out(tf.constant(images), draws, size).numpy()
    rows, columns = (draws[f"cutout_{side}"].numpy() for side in ("row", "column"))
    for i in range(COUNT):
        top = int(rows[i] * np.float32(HEIGHT)) - size // 2
        left = int(columns[i] * np.float32(WIDTH)) - size // 2
        expected = images[i].copy()
        expected[max(0, top) : top + size, max(0, left) : left + size] = 0
        np.testing.assert_array_equal(changed[i], expected)


def test_every_pixel_is_a_centre():
    centres = np.linspace(0, 1, HEIGHT * 7, endpoint=False, dtype=np.float32)
    one = inside((tf.constant(centres), tf.zeros(len(centres))), (1, 1), (HEIGHT, 2))
    assert (one.numpy().sum(axis=(1, 2)) == 1).all()
    assert one.numpy()[:, :, 0].sum(axis=0).tolist() == [7] * HEIGHT


@pytest.mark.parametrize("size", [0, -2, 1.5, 2.0])
def test_bad_sizes(size):
    with pytest.raises(ValueError, match=f"cutout must be 1 or more whole.*got {size}"):
        Augment(cutout=size)
