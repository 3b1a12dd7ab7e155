"""Crops and scales: where they are, and what is averaged."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compression import measure

RNG = np.random.default_rng(0)


def positions(rows, columns):
    """(1, rows, columns, 2) images whose pixels say where they are."""
    grid = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    return np.stack(grid, axis=-1)[None].astype("float32")


def corners(crops):
    """Upper left (row, column) of each crop, and whether it is a mirror image."""
    found = []
    for crop in crops:
        (y, x), (_, last) = crop[0, 0, 0], crop[0, 0, -1]
        found.append((int(y), int(min(x, last)), bool(x > last)))
    return found


def test_ten_crops_by_hand():
    at = [(0, 0), (0, 3), (2, 0), (2, 3), (1, 1)]  # of 4 px in 6 x 7
    expected = [(y, x, mirror) for y, x in at for mirror in (False, True)]
    assert corners(measure.ten_crops(positions(6, 7), 4)) == expected


@given(st.integers(2, 6), st.integers(0, 9), st.integers(0, 9), st.integers(1, 5))
def test_a_grid_reaches_every_edge_evenly(side, down, right, size):
    images = positions(size + down, size + right)
    found = corners(measure.grid_crops(images, size, side))
    assert len(found) == 2 * side**2
    for axis, room in ((0, down), (1, right)):
        steps = np.unique([corner[axis] for corner in found], return_counts=True)[0]
        assert steps[0] == 0 and steps[-1] == room
        if room >= side - 1:
            assert len(steps) == side and np.ptp(np.diff(steps)) <= 1
    assert sum(mirror for *_, mirror in found) == (side**2 if size > 1 else 0)


def test_googlenet_has_144_crops():
    crops = list(measure.googlenet_crops(RNG.random((2, 9, 12, 3)), 7, (8, 9, 10, 11)))
    assert len(crops) == 144
    assert {crop.shape for crop in crops} == {(2, 7, 7, 3)}
    [*_, whole, mirror] = measure.googlenet_crops(positions(9, 12), 9, (9,))
    np.testing.assert_array_equal(whole, positions(9, 12)[:, :, 3:])  # the right square
    np.testing.assert_array_equal(mirror, whole[:, :, ::-1])
    [first, *_] = measure.googlenet_crops(positions(12, 9), 9, (9,))
    np.testing.assert_array_equal(first, positions(12, 9)[:, :9])  # the top square


def test_scales_are_of_the_shorter_side():
    images = np.full((2, 8, 12, 1), 3.0, "float32")
    scaled = list(measure.at_scales(images, (4, 8, 10)))
    assert [image.shape[1:3] for image in scaled] == [(4, 6), (8, 12), (10, 15)]
    for image in scaled:
        np.testing.assert_allclose(image, 3, rtol=1e-6)
    np.testing.assert_array_equal(scaled[1], images)


@pytest.fixture(scope="module")
def net():
    """Takes images of any size; its logits are far from even."""
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 3))
    x = keras.layers.GlobalMaxPooling2D()(image)
    return keras.Model(image, keras.layers.Dense(4, name="logits")(x))


def test_probabilities_are_averaged(net):
    images = 9 * RNG.normal(size=(5, 6, 6, 3)).astype("float32")
    got = measure.mean_logits(net, measure.ten_crops(images, 4))
    softmax = [
        keras.ops.convert_to_numpy(keras.ops.softmax(net(crop)))
        for crop in measure.ten_crops(images, 4)
    ]
    np.testing.assert_allclose(np.exp(got), np.mean(softmax, axis=0), rtol=1e-4)
    image = keras.Input((None, None, 3))
    probabilities = keras.Model(image, keras.layers.Softmax()(net(image)))
    same = measure.mean_logits(probabilities, measure.ten_crops(images, 4))
    np.testing.assert_allclose(np.exp(same), np.mean(softmax, axis=0), atol=1e-5)


def test_logits_far_apart_stay_finite(net):
    images = 1e4 * RNG.normal(size=(3, 5, 5, 3)).astype("float32")
    assert np.isfinite(measure.mean_logits(net, measure.ten_crops(images, 4))).all()


def test_one_logit_stands_for_two_classes():
    image = keras.Input((4, 4, 1))
    x = keras.layers.Flatten()(image)
    net = keras.Model(image, keras.layers.Dense(1)(x))
    images = RNG.normal(size=(3, 5, 5, 1)).astype("float32")
    got = np.exp(measure.mean_logits(net, measure.ten_crops(images, 4)))
    sigmoid = [
        1 / (1 + np.exp(-np.asarray(net(c)))) for c in measure.ten_crops(images, 4)
    ]
    np.testing.assert_allclose(got[:, 1:], np.mean(sigmoid, axis=0), rtol=1e-5)


def test_a_profile_of_crops(net):
    images = RNG.normal(size=(20, 6, 6, 3)).astype("float32")
    labels = RNG.integers(0, 4, 20)
    profile = measure.profile(
        net, [(images[:12], labels[:12]), (images[12:], labels[12:])], latency=False,
        views=lambda batch: measure.ten_crops(batch, 4),
    )  # fmt: skip
    logits = measure.mean_logits(net, measure.ten_crops(images, 4))
    assert profile.top1 == measure.accuracy(logits, labels)
    assert profile.loss == pytest.approx(measure.cross_entropy(logits, labels))


@pytest.mark.parametrize(
    ("views", "problem"),
    [
        (lambda: measure.ten_crops(positions(3, 9), 4), r"need images .* \(1, 3, 9"),
        (lambda: measure.ten_crops(positions(3, 9)[0], 2), r"images .* \(3, 9, 2\)"),
        (lambda: measure.grid_crops(positions(9, 9), 4, 1), "at least 2 crops, got 1"),
        (lambda: measure.googlenet_crops(positions(9, 9), 4, (3,)), "crops of 4 px"),
        (lambda: measure.at_scales(positions(9, 9), (4, 0)), r"positive.* \(4, 0\)"),
        (lambda: measure.at_scales(positions(9, 9), ()), r"at least one, got \(\)"),
    ],
)  # fmt: skip
def test_bad_crops_are_refused(views, problem):
    with pytest.raises(ValueError, match=problem):
        list(views())


def test_no_views_are_refused(net):
    with pytest.raises(ValueError, match="there are no views"):
        measure.mean_logits(net, [])
