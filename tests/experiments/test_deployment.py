"""What lies beside an exported file, and data made to fit it."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from experiments import deployment
from experiments.data import load
from experiments.data.pipeline import evaluation_batches
from experiments.deployment import Deployment

MINE = Deployment((8, 8, 1), (0.25,), (0.5,), tuple("9876543210"))


def test_what_is_written_is_read(tmp_path):
    MINE.write(tmp_path / "deploy.json")
    assert deployment.beside(tmp_path / "net.tflite") == MINE
    record = json.loads((tmp_path / "deploy.json").read_text())
    assert record["input"].startswith("float32") and record["output"].startswith("log")


def test_a_files_own_record_comes_first(tmp_path):
    assert deployment.beside(tmp_path / "net.tflite") is None
    MINE.write(tmp_path / "deploy.json")
    other = dataclasses.replace(MINE, mean=(0.0,))
    other.write_beside(tmp_path / "net.int8.tflite")
    assert deployment.beside(tmp_path / "net.int8.tflite") == other
    assert deployment.beside(tmp_path / "net.tflite") == MINE
    other.write_beside(tmp_path / "saved_model")
    assert deployment.beside(tmp_path / "saved_model") == other


@pytest.mark.parametrize("streamed", [False, True])
def test_classes_are_matched_by_name(streamed):
    data = load("digits")
    if streamed:
        held = data.test
        rows = tf.data.Dataset.from_tensor_slices((held.images, held.labels))
        stream = dataclasses.replace(
            held, images=None, labels=None, stream=lambda: rows, decode=lambda x: x
        )
        data = dataclasses.replace(data, test=stream)
    fitted = MINE.fitted(data)
    assert fitted.class_names == MINE.class_names
    [(images, labels)] = evaluation_batches(fitted, "test", batch_size=1000)
    test = load("digits").test
    np.testing.assert_array_equal(labels, 9 - test.labels)
    np.testing.assert_allclose(images, (test.images / 255 - 0.25) / 0.5, atol=1e-6)


def test_fewer_classes_are_fine_and_unknown_ones_are_named():
    data = load("digits")
    more = dataclasses.replace(MINE, class_names=("x", *MINE.class_names, "y"))
    np.testing.assert_array_equal(
        more.fitted(data).train.labels, 10 - data.train.labels
    )
    fewer = dataclasses.replace(MINE, class_names=tuple("01234567"))
    with pytest.raises(ValueError, match=r"digits has classes .* trained on: 8, 9;"):
        fewer.fitted(data)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"mean": None}, ": mean must be a list, got None"),
        ({"std": [0.0]}, r": std\[0\] must be a number above 0, got 0.0"),
        ({"std": ["x"]}, r": std\[0\] must be a number, got 'x'"),
        (
            {"mean": [float("nan")]},
            r": mean\[0\] must be a number that is finite, got nan",
        ),
        ({"mean": [0.1, 0.2]}, " must have .* mean and std of each channel, got"),
        ({"class_names": [1, 2]}, r": class_names\[0\] must be a text, got 1"),
        ({"image_shape": 3}, ": image_shape must be a list, got 3"),
    ],
)
def test_damaged_records_are_named(tmp_path, change, problem):
    path = tmp_path / "deploy.json"
    MINE.write(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    message = f"deploy.json{problem}.*; restore it, or delete it to do without"
    with pytest.raises(ValueError, match=message):
        deployment.read(path)
    path.write_text("[]")
    with pytest.raises(ValueError, match="deploy.json: it must be an object"):
        deployment.read(path)
    path.write_text("{")
    with pytest.raises(ValueError, match="deploy.json is not JSON"):
        deployment.read(path)
