"""Some classes, few labels, no labels: which images are left."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from experiments.data import load
from experiments.data.fewer import fewer
from experiments.data.labelled import with_labels
from experiments.data.some_classes import of_classes, parsed


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def test_classes_are_numbered_anew(digits):
    some = load("digits[7,2]")
    assert some.name == "digits[7,2]" and some.class_names == ("7", "2")
    for part in ("train", "validation", "test"):
        whole, chosen = getattr(digits, part), getattr(some, part)
        sevens = whole.images[whole.labels == 7]
        np.testing.assert_array_equal(chosen.images[chosen.labels == 0], sevens)
        assert chosen.size == np.isin(whole.labels, (7, 2)).sum()
    assert some.mean == pytest.approx([(some.train.images / 255).mean()])


def streamed(data):
    """The same labels, in streams of names; None of the images."""

    def decoded(name):
        del name
        return tf.zeros((8, 8, 1), tf.uint8)

    def one(split):
        names = [f"{split.name} {i}".encode() for i in range(split.size)]
        rows = tf.data.Dataset.from_tensor_slices((names, split.labels))
        return dataclasses.replace(
            split, images=None, labels=None, stream=lambda: rows, decode=decoded
        )

    parts = ("train", "validation", "test")
    return dataclasses.replace(data, **{p: one(getattr(data, p)) for p in parts})


def test_a_stream_is_filtered(digits):
    whole = streamed(digits)
    some = of_classes(whole, "[7,2]")
    for part in ("train", "validation", "test"):
        labels = getattr(digits, part).labels
        found = getattr(some, part)
        rows = [(name.decode(), n) for name, n in found.stream().as_numpy_iterator()]
        kept = [
            (f"{part} {at}", [7, 2].index(label))
            for at, label in enumerate(labels)
            if label in (7, 2)
        ]
        assert rows == kept and found.size == len(kept)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digits[7,x]", "digits has no class 'x'; choose from 0, 1"),
        ("digits[7,10]", "no class '10'"),
        ("digits[7,7]", r"\[7,7\] must be two or more classes of digits, once"),
        ("digits[7]", "two or more"),
        ("nothing[1,2]", "nothing"),
    ],
)
def test_classes_that_are_not_there(name, message):
    with pytest.raises(ValueError, match=message):
        load(name)


def test_names_are_taken_apart():
    assert parsed("cifar10:3.0.2[1,2]") == ("cifar10:3.0.2", "[1,2]")
    assert parsed("folder:/a[1]/b") == ("folder:/a[1]/b", "")


@pytest.mark.parametrize("labels", [10, 23, 500])
def test_each_class_has_its_share_and_epochs_stay_as_long(digits, labels):
    few = with_labels(digits, labels, seed=3)
    assert few.train.size == digits.train.size
    shown, times = np.unique(few.train.images, axis=0, return_counts=True)
    assert len(shown) == labels and times.max() - times.min() <= 1
    counts = np.bincount(few.train.labels[:labels], minlength=10)
    assert counts.min() >= labels // 10 - 1 and counts.min() >= 1
    again = with_labels(digits, labels, seed=3)
    np.testing.assert_array_equal(again.train.labels, few.train.labels)
    other = with_labels(digits, labels, seed=4)
    assert (other.train.images != few.train.images).any()
    assert few.validation is digits.validation and few.mean == digits.mean


def test_a_share_of_the_labels(digits):
    share = with_labels(digits, 0.25, seed=3)
    number = with_labels(digits, round(0.25 * digits.train.size), seed=3)
    np.testing.assert_array_equal(share.train.images, number.train.images)
    least = with_labels(digits, 0.001, seed=3)
    assert len(np.unique(least.train.images, axis=0)) == 10
    assert set(least.train.labels) == set(range(10))


def test_labels_that_cannot_be_chosen(digits):
    for labels in (9, digits.train.size + 1, 0, -0.5, 10.5, float("inf")):
        with pytest.raises(ValueError, match=f"labels must be from 10.*got {labels}"):
            with_labels(digits, labels, seed=0)
    train = digits.train.only(np.flatnonzero(digits.train.labels != 4))
    with pytest.raises(ValueError, match="train split of digits lacks the class '4'"):
        with_labels(dataclasses.replace(digits, train=train), 10, seed=0)
    stream = dataclasses.replace(digits.train, labels=None)
    with pytest.raises(ValueError, match="read as a stream"):
        with_labels(dataclasses.replace(digits, train=stream), 10, seed=0)


def test_a_folder_without_labels(tmp_path):
    for number in range(12):
        home = tmp_path / ("deep/er" if number % 2 else ".")
        home.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (30, 30), (20 * number, 0, 0)).save(home / f"{number}.png")
    data = load(f"unlabelled:{tmp_path}")
    assert data.class_names == () and data.name == f"unlabelled:{tmp_path}"
    assert (data.train.size, data.validation.size, data.test.size) == (11, 1, 0)
    red = np.concatenate([data.train.images, data.validation.images])[:, 0, 0, 0]
    assert sorted(red) == list(range(0, 240, 20))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="at least 3 readable images"):
        load(f"unlabelled:{tmp_path / 'empty'}")
    with pytest.raises(FileNotFoundError, match="no folder of images"):
        load(f"unlabelled:{tmp_path / 'none'}")


@pytest.mark.parametrize("count", [10, 23, 500, 1259])
def test_fewer_images_have_all_classes(digits, count):
    few = fewer(digits, count)
    assert few.train.size == len(few.train.images) == count
    part = round(digits.validation.size * count / digits.train.size)
    assert few.validation.size == len(few.validation.labels) == max(part, 10)
    assert few.test is digits.test and few.mean == digits.mean
    for split in (few.train, few.validation):
        counts = np.bincount(split.labels, minlength=10)
        assert counts.min() >= max(1, 0.9 * split.size // 10 - 1)
    there = {image.tobytes() for image in digits.train.images}
    assert {image.tobytes() for image in few.train.images} <= there
    np.testing.assert_array_equal(fewer(digits, count).train.images, few.train.images)


def test_of_a_stream_the_first_are_taken(digits):
    few = fewer(streamed(digits), 100)
    names = [name.decode() for name, _ in few.train.stream().as_numpy_iterator()]
    assert names == [f"train {i}" for i in range(100)] and few.train.size == 100
    assert len(list(few.validation.stream())) == few.validation.size == 14


@pytest.mark.parametrize("count", [9, 1260])
def test_fewer_than_there_are(digits, count):
    message = f"train_images must be from 10 .*digits.* to 1259 .* got {count}"
    with pytest.raises(ValueError, match=message):
        fewer(digits, count)
