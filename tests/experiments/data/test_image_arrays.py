"""An .npz file of images: as Keras ships them, unsplit, named; and what is refused."""

import dataclasses
import json

import numpy as np
import pytest

from experiments.data import load
from experiments.data.fingerprint import content, fingerprint
from experiments.runs.identity import described, require_same_data
from experiments.runs.layout import RunFolder

RNG = np.random.default_rng(0)


def arrays(count, channels=None, classes=2):
    shape = (count, 8, 8) if channels is None else (count, 8, 8, channels)
    images = RNG.integers(0, 256, shape, dtype=np.uint8)
    return images, np.arange(count, dtype=np.uint8) % classes


@pytest.fixture
def stored(tmp_path):
    """Function of arrays -> the name of the data in a file of them."""

    def write(save=np.savez, **parts):
        save(tmp_path / "images.npz", **parts)
        return f"npz:{tmp_path / 'images.npz'}"

    return write


def test_as_keras_ships_mnist(stored):
    (x, y), (x_test, y_test) = arrays(40), arrays(10)
    data = load(stored(x_train=x, y_train=y, x_test=x_test, y_test=y_test))
    assert data.image_shape == (8, 8, 1) and data.class_names == ("0", "1")
    assert [data.train.size, data.validation.size, data.test.size] == [36, 4, 10]
    assert not data.flips  # characters, perhaps
    order = np.lexsort(data.test.images.reshape(10, -1).T)
    expected = np.lexsort(x_test.reshape(10, -1).T)
    np.testing.assert_array_equal(data.test.images[order, ..., 0], x_test[expected])
    np.testing.assert_array_equal(data.test.labels[order], y_test[expected])


def test_unsplit_colours_with_names_resized(stored):
    x, y = arrays(20, channels=3)
    name = stored(np.savez_compressed, x=x, y=y[:, None], class_names=["oak", "ash"])
    data = load(f"{name}", image_size=16)
    assert data.image_shape == (16, 16, 3) and data.class_names == ("oak", "ash")
    assert [data.train.size, data.validation.size, data.test.size] == [14, 2, 4]
    assert data.flips and data.train.labels.dtype == np.int64
    chosen = load(f"{name}[ash,oak]")
    assert chosen.class_names == ("ash", "oak")


def test_other_names_and_a_validation_part(stored):
    (x, y), (x_val, y_val), (x_test, y_test) = arrays(12), arrays(6), arrays(4)
    name = stored(
        train_images=x, train_labels=y, val_images=x_val, val_labels=y_val,
        test_images=x_test, test_labels=y_test, author=np.array("me"),
    )  # fmt: skip
    data = load(name)
    assert [data.train.size, data.validation.size, data.test.size] == [12, 6, 4]
    assert data.left_out == ("1 arrays: author",)
    with pytest.raises(ValueError, match="validation images of its own.*got 2"):
        load(name, validation=2)


X, Y = arrays(12)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"x": X}, r"must have the arrays x and y; or x_train.* it has \['x'\]"),
        ({"x_test": X, "y_test": Y}, r"must have the arrays x and y"),
        ({"x": X, "y": Y, "x_test": X, "y_test": Y}, "must have the arrays"),
        ({"x": X, "y": Y, "images": X}, "has images twice: x and images"),
        ({"x_train": X, "y_train": Y}, "train images only"),
        ({"x": X / 255, "y": Y}, r"x in .* uint8 pixels from 0 to 255, got float64"),
        ({"x": X[:, :, 0], "y": Y}, r"\(images, height, width\) or .*got \(12, 8\)"),
        ({"x": X.reshape(12, 4, 8, 2), "y": Y}, r"got \(12, 4, 8, 2\)"),
        ({"x": X, "y": np.eye(2)[Y]}, r"of one-hot rows save y.argmax\(1\)"),
        ({"x": X, "y": Y.astype(str)}, r"save np.unique\(y, return_inverse=True\)\[1"),
        ({"x": X, "y": Y == 1}, r"got bool \(12,\): save y.astype\(int\)"),
        ({"x": X, "y": Y * 1.0}, r"got float64 \(12,\): save y.astype\(int\)"),
        ({"x": X, "y": Y * 0.5}, r"got float64 \(12,\)$"),
        ({"x": X, "y": Y[:, None, None]}, r"got \w+ \(12, 1, 1\)$"),
        ({"x": X, "y": Y[:5]}, "12 images in x, and 5 labels in y"),
        ({"x": X, "y": Y.astype(int) - 1}, "labels in .* from 0 on, got -1"),
        ({"x": X, "y": 2 * Y}, "all of 0 to 2, got 2 of them"),
        ({"x": X, "y": Y, "class_names": ["a"]}, "has 1 class_names and the label 1"),
        ({"x": X, "y": Y, "class_names": ["a", "a"]}, "must be texts, one for each"),
        ({"x": X, "y": Y, "class_names": list("abc")}, "class 'c' in .*found 0"),
        ({"x": X, "y": Y * 0}, r"at least two classes, found \['0'\]"),
        ({"x_train": X, "y_train": Y, "x_test": X[:, :4], "y_test": Y}, "several shap"),
        ({"x_train": X, "y_train": Y * 0, "x_test": X, "y_test": Y}, "no .*train i"),
        ({"x": X, "y": Y, "class_names": np.array(["a", None])}, "Python objects"),
    ],
)  # fmt: skip
def test_what_is_refused(parts, message, stored):
    with pytest.raises(ValueError, match=message):
        load(stored(**parts))


def test_no_file_and_no_arrays(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file of arrays at /no.npz"):
        load("npz:/no.npz")
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 and so on")
    with pytest.raises(ValueError, match="a.npz is damaged"):
        load(f"npz:{tmp_path / 'a.npz'}")


def test_a_change_of_content_is_seen_wherever_the_file_lies(stored, tmp_path):
    x, y = arrays(20)
    before = load(stored(x=x, y=y))
    (tmp_path / "images.npz").rename(tmp_path / "moved.npz")
    moved = load(f"npz:{tmp_path / 'moved.npz'}")
    assert content(moved) == content(before)
    folder = RunFolder(tmp_path)
    folder.data.write_text(json.dumps(described(before, {})))
    require_same_data(moved, {}, folder)
    other = x.copy()
    other[np.argwhere((x == before.test.images[0, ..., 0]).all((1, 2)))] ^= 1
    changed = load(stored(x=other, y=y))  # one test image: train statistics are equal
    assert changed.mean == before.mean
    with pytest.raises(ValueError, match="data have changed.*content"):
        require_same_data(changed, {}, folder)
    swapped = dataclasses.replace(
        before, test=dataclasses.replace(before.test, labels=1 - before.test.labels)
    )
    assert content(swapped) != content(before)
    assert fingerprint(changed.test) != fingerprint(before.test)
