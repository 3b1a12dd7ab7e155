"""Datasets that TFDS has prepared, and the ways in which they can be missing."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from experiments.data import load, prepared
from experiments.data.augment import Augment
from experiments.data.pipeline import training_batches

ROOT = Path(__file__).parents[3]


@pytest.fixture
def data_dir(monkeypatch):
    """Where datasets are prepared: TFDS_DATA_DIR, or beside the checkout."""
    beside = ROOT.parent / "shared" / "tensorflow_datasets"
    folder = Path(os.environ.get("TFDS_DATA_DIR", beside))
    for name in ("mnist", "cifar10"):
        if not (folder / name).is_dir():
            pytest.skip(f"no prepared {name}: set TFDS_DATA_DIR")
    monkeypatch.setenv("TFDS_DATA_DIR", str(folder))


def sizes(data):
    return data.train.size, data.validation.size, data.test.size


@pytest.mark.parametrize(
    "name", ["nope", "mnist5", "two words", "huggingface:mnist", "", "MNIST"]
)
def test_unknown_name(name, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(ValueError) as caught:
        load(name)
    meant = {"mnist5": "mnist5k", "MNIST": "mnist"}.get(name)
    meant = f" (did you mean {meant}?)" if meant else ""
    assert str(caught.value) == (
        f"no data called {name!r}{meant}; choose from mnist5k, digits, a TFDS name "
        "such as mnist or cifar10, folder:PATH, csv:PATH or npz:PATH"
    )


def test_an_empty_folder_is_none(tmp_path, monkeypatch):
    """`TFDS_DATA_DIR=` in a script would otherwise be the working directory."""
    monkeypatch.setenv("TFDS_DATA_DIR", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert prepared._data_dir() == tmp_path / "tensorflow_datasets"


def test_unknown_version(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(ValueError, match="no data called 'cifar10:9.9.9': .*3.0.2"):
        load("cifar10:9.9.9")


def test_not_an_image_dataset(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(ValueError, match="coco must be a dataset of grey or RGB"):
        load("coco")


def test_data_to_test_on_alone_are_refused():
    splits = {"test": SimpleNamespace(num_examples=10)}
    info = SimpleNamespace(splits=splits)
    builder = SimpleNamespace(info=info, name="cifar10_1")
    source = prepared._Source(builder, "image", "label", (32, 32, 3))
    with pytest.raises(ValueError, match="cifar10_1 has no train images, only test"):
        prepared._count(source, None)


def test_manual_download_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))
    with pytest.raises(FileNotFoundError) as caught:
        load("imagenet2012")
    message = str(caught.value)
    assert "\n" not in message
    assert "imagenet2012 is not prepared" in message
    assert "set TFDS_DATA_DIR to a folder that holds it prepared" in message
    assert list(tmp_path.iterdir()) == [], "left something behind"


def test_unreachable_server_is_an_error_at_once(tmp_path, monkeypatch):
    def unreachable(*arguments, **options):
        raise OSError("Network is unreachable")

    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr("socket.create_connection", unreachable)
    monkeypatch.setattr("urllib.request.getproxies", dict)
    with pytest.raises(FileNotFoundError, match="cannot be reached; set TFDS_DATA_DIR"):
        load("fashion_mnist")
    assert list(tmp_path.iterdir()) == []


def test_a_failing_download_leaves_nothing_and_prints_nothing(
    tmp_path, monkeypatch, capsys
):
    def failing(self, **options):
        (tmp_path / "data" / "downloads" / "extracted").mkdir(parents=True)
        (tmp_path / "data" / "fashion_mnist" / "3.0.1").mkdir(parents=True)
        print("Downloading and preparing")
        raise ConnectionError("lost\nin the middle")

    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr("experiments.data.download._obstacle", lambda *_: "")
    monkeypatch.setattr(
        "tensorflow_datasets.core.DatasetBuilder.download_and_prepare", failing
    )
    with pytest.raises(FileNotFoundError, match="TFDS failed with ConnectionError"):
        load("fashion_mnist")
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_mnist(data_dir):
    data = load("mnist")
    assert sizes(data) == (55_000, 5_000, 10_000)
    assert data.image_shape == (28, 28, 1)
    assert data.class_names == tuple("0123456789")
    assert data.note == ""
    assert not data.flips
    of_class = np.bincount(data.train.labels) + np.bincount(data.validation.labels)
    # The label file of LeCun's 60,000.
    expected = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    np.testing.assert_array_equal(of_class, expected)
    share = np.bincount(data.validation.labels) / np.array(expected)
    np.testing.assert_allclose(share, 5000 / 60000, atol=2e-4)


@pytest.mark.slow
def test_cifar10(data_dir):
    data = load("cifar10:3.0.2")
    assert sizes(data) == (45_000, 5_000, 10_000)
    assert data.image_shape == (32, 32, 3)
    assert data.class_names[:3] == ("airplane", "automobile", "bird")
    assert data.flips
    np.testing.assert_array_equal(np.bincount(data.train.labels), [4500] * 10)
    np.testing.assert_array_equal(np.bincount(data.test.labels), [1000] * 10)
    stored_as_jpeg = next(iter(encoded(data_dir)))[0].numpy()[:2] == b"\xff\xd8"
    assert stored_as_jpeg == (
        data.note == "cifar10 here is a lossy JPEG copy: accuracies are not "
        "comparable with published ones"
    )


def encoded(data_dir):
    builder = prepared._builder("cifar10")
    return prepared._source("cifar10", builder, None).encoded("train[:1]")


@pytest.mark.slow
def test_streamed_cifar10(data_dir, monkeypatch):
    """What does not fit into memory is read in the same order every time."""
    monkeypatch.setattr(prepared, "MEMORY_LIMIT", 0)
    data = load("cifar10", image_size=48, validation=100)
    assert sizes(data) == (49_900, 100, 10_000)
    assert data.image_shape == (48, 48, 3)
    assert data.train.images is None
    first, second = (list(data.validation.stream()) for _ in range(2))
    assert len(first) == 100
    for (a, label), (b, same) in zip(first, second, strict=True):
        assert a.numpy() == b.numpy()
        assert int(label) == int(same)
    head = {image.numpy() for image, _ in data.train.stream().take(2000)}
    assert head.isdisjoint({image.numpy() for image, _ in first})

    options = {
        "batch_size": 32,
        "seed": 0,
        "augment": Augment(random_resized_crop=True),
    }
    first, again = (
        list(training_batches(data, **options).dataset.take(3).as_numpy_iterator())
        for _ in range(2)
    )
    for (images, labels), (same_images, same_labels) in zip(first, again, strict=True):
        assert images.shape == (32, 48, 48, 3)
        np.testing.assert_array_equal(images, same_images)
        np.testing.assert_array_equal(labels, same_labels)
    in_order = [int(label) for _, label in data.train.stream().take(96)]
    assert [int(label) for _, labels in first for label in labels] != in_order
