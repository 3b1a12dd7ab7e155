"""Balanced epochs: each class equally often, another choice every time."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.data import load
from experiments.data.augment import Augment
from experiments.data.pipeline import training_batches
from experiments.data.shuffling import balanced_order

WHOLE = load("digits")


def uneven(counts=(90, 30, 6)):
    """Digits 0, 1 and 2, that many of each."""
    labels = WHOLE.train.labels
    kept = [np.flatnonzero(labels == k)[:count] for k, count in enumerate(counts)]
    kept = np.sort(np.concatenate(kept))
    train = dataclasses.replace(
        WHOLE.train, size=len(kept), images=WHOLE.train.images[kept],
        labels=labels[kept],
    )  # fmt: skip
    return dataclasses.replace(WHOLE, train=train)


@settings(deadline=None, max_examples=25)
@given(
    labels=st.lists(st.sampled_from([0, 1, 2, 5]), min_size=1, max_size=40),
    count=st.integers(1, 60),
    seed=st.integers(0, 2**31),
)
def test_classes_and_their_images_come_equally_often(labels, count, seed):
    labels = np.array(labels)
    order = balanced_order(labels, count, seed=tf.constant([seed, 0], tf.int64))
    order = order.numpy()
    assert len(order) == count and order.dtype == np.int64
    times = np.bincount(order, minlength=len(labels))
    kinds = np.unique(labels)
    by_class = [times[labels == kind] for kind in kinds]
    totals = [each.sum() for each in by_class]
    assert max(totals) - min(totals) <= 1
    for each in by_class:
        assert each.max() - each.min() <= 1


def taken(data, first=0, count=6, **options):
    batches = training_batches(
        data, batch_size=42, seed=3, balanced=True, with_index=True,
        first_epoch=first, **options,
    )  # fmt: skip
    assert batches.steps_per_epoch == 3
    return list(batches.dataset.take(count).as_numpy_iterator())


def test_epochs_are_balanced_differ_and_come_back():
    data = uneven()
    rows = taken(data, augment=Augment(pad=2))
    epochs = [np.concatenate([y for _, y in rows[i : i + 3]]) for i in (0, 3)]
    for epoch in epochs:
        assert np.bincount(epoch).tolist() == [42, 42, 42]
    assert (epochs[0] != epochs[1]).any()
    seen = [{int(i) for x, _ in rows[i : i + 3] for i in x["index"]} for i in (0, 3)]
    assert seen[0] != seen[1]  # other zeros of the ninety
    for (x, y), (again, same) in zip(
        rows[3:], taken(data, 1, 3, augment=Augment(pad=2)), strict=True
    ):
        np.testing.assert_array_equal(x["image"], again["image"])
        np.testing.assert_array_equal(y, same)


def test_an_image_that_comes_again_looks_different_but_for_a_teacher():
    data = uneven()

    def looks(**options):
        """How many different pictures of one of the six twos, shown 7 times each."""
        rows = taken(data, count=3, augment=Augment(pad=2), **options)
        [two, *_] = np.flatnonzero(data.train.labels == 2)
        images = [x["image"][x["index"] == two] for x, _ in rows]
        images = np.concatenate(images)
        assert len(images) == 7
        return len(np.unique(images.reshape(7, -1), axis=0))

    assert looks() > 3  # 25 places
    assert looks(views=2) == 1  # its view's, for which outputs may be kept


def test_files_are_balanced_too_and_streams_are_refused(tmp_path):
    data = uneven()
    paths = [tmp_path / f"{i}.png" for i in range(data.train.size)]
    for path, image in zip(paths, data.train.images, strict=True):
        path.write_bytes(tf.io.encode_png(image).numpy())

    def decode(path):
        return tf.io.decode_png(tf.io.read_file(path), channels=1)

    files = dataclasses.replace(
        data.train, images=None, paths=np.array(list(map(str, paths))), decode=decode
    )
    rows = taken(dataclasses.replace(data, train=files), count=3)
    for (x, y), (image, label) in zip(rows, taken(data, count=3), strict=True):
        np.testing.assert_array_equal(y, label)
        np.testing.assert_array_equal(x["image"], image["image"])
    stream = dataclasses.replace(
        files, paths=None, labels=None, stream=lambda: tf.data.Dataset.range(126)
    )
    with pytest.raises(ValueError, match="balanced sampling needs the labels.*folder:"):
        taken(dataclasses.replace(data, train=stream))
