"""A transfer set holds the chosen classes' train images and changes nothing else."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.data import Data, Split, load, pipeline
from experiments.data.augment import Augment
from experiments.data.decoding import decode_rgb, decode_rgb_file
from experiments.data.transfer_set import only_classes

CLASSES = 4
KINDS = pytest.mark.parametrize("kind", ["memory", "files", "stream"])


def toy(kind, labels, folder):
    """Images whose every pixel is their place in the train split."""
    size = len(labels)
    labels = np.array(labels, np.int64)
    images = np.broadcast_to(
        np.arange(size, dtype=np.uint8)[:, None, None, None], (size, 8, 8, 3)
    )
    encoded = [tf.io.encode_png(image).numpy() for image in images]
    held = Split("train", size, images=images, labels=labels)
    if kind == "memory":
        train = held
    elif kind == "files":
        paths = [folder / f"{i}.png" for i in range(size)]
        for path, content in zip(paths, encoded, strict=True):
            path.write_bytes(content)
        names = np.array([str(path) for path in paths])
        train = Split("train", size, paths=names, labels=labels, decode=decode_rgb_file)
    else:

        def stream():
            return tf.data.Dataset.from_tensor_slices((encoded, labels))

        train = Split("train", size, stream=stream, decode=decode_rgb)
    return Data(
        name="toy", image_shape=(8, 8, 3), class_names=("a", "b", "c", "d"),
        train=train, validation=held, test=held,
        mean=(0.0, 0.0, 0.0), std=(1 / 255,) * 3, flips=False,
    )  # fmt: skip


def content(split):
    """(place, label) of every image of a split."""
    if split.stream is not None:
        rows = split.stream().as_numpy_iterator()
        return [(decode_rgb(png)[0, 0, 0], label) for png, label in rows]
    if split.images is not None:
        places = split.images[:, 0, 0, 0]
    else:
        places = [int(path.rpartition("/")[2][:-4]) for path in split.paths]
    return list(zip(places, split.labels, strict=True))


@KINDS
@settings(max_examples=15)
@given(
    labels=st.lists(st.integers(0, CLASSES - 1), min_size=4, max_size=12),
    classes=st.sets(st.integers(0, CLASSES - 1), min_size=1),
)
def test_the_chosen_images_in_their_order(kind, labels, classes, tmp_path_factory):
    data = toy(kind, labels, tmp_path_factory.mktemp("images"))
    expected = [(i, label) for i, label in enumerate(labels) if label in classes]
    if not expected:
        with pytest.raises(ValueError, match="toy has no train image of"):
            only_classes(data, sorted(classes))
        return
    chosen = only_classes(data, sorted(classes))
    assert chosen.train.size == len(expected)
    assert content(chosen.train) == expected
    assert chosen.validation is data.validation and chosen.test is data.test
    whole = dataclasses.replace(chosen, train=data.train)
    assert vars(whole) == vars(data)


@KINDS
def test_training_shows_no_other_class(kind, tmp_path):
    labels = [i % CLASSES for i in range(20)]
    chosen = only_classes(toy(kind, labels, tmp_path), (1, 3))
    logits = np.zeros((1, chosen.train.size, CLASSES), np.float32)
    places = [i for i, label in enumerate(labels) if label in (1, 3)]
    logits[0, :, 0] = places  # what a teacher said of each image
    dataset, steps = pipeline.training_batches(
        chosen,
        batch_size=5,
        seed=0,
        augment=Augment(),
        teacher_outputs={"teacher_logits": logits},
    )
    assert steps == 2
    epoch = []
    for inputs, some_labels in dataset.take(steps).as_numpy_iterator():
        shown = np.rint(inputs["image"][:, 0, 0, 0]).astype(int)
        np.testing.assert_array_equal(inputs["teacher_logits"][:, 0], shown)
        np.testing.assert_array_equal(some_labels, shown % CLASSES)
        epoch += shown.tolist()
    assert sorted(epoch) == places


@pytest.mark.parametrize("classes", [(), (4,), (-1, 2)])
def test_unknown_classes(classes, tmp_path):
    data = toy("memory", [0, 1, 2, 3], tmp_path)
    with pytest.raises(ValueError, match="classes of toy are 0 to 3, got"):
        only_classes(data, classes)


def test_without_a_class_the_counts_fit():
    data = load("digits")
    chosen = only_classes(data, [c for c in range(10) if c != 3])
    counts = np.bincount(data.train.labels)
    assert chosen.train.size == counts.sum() - counts[3]
    assert 3 not in chosen.train.labels and 3 in chosen.validation.labels
