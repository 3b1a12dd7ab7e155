"""Bytes of files, folders and models."""

import random
import time
import zipfile

import keras
import numpy as np
import pytest
from keras import layers

from compression import measure
from tests.compression.small_nets import on_images


def test_sizes_of_files_and_folders(tmp_path):
    folder = tmp_path / "net"
    (folder / "variables").mkdir(parents=True)
    (folder / "a").write_bytes(bytes(1000))
    (folder / "variables" / "b").write_bytes(random.Random(0).randbytes(500))
    assert measure.size(folder) == 1500
    assert measure.size(folder / "a") == 1000
    assert measure.zipped_size(folder / "a") < 150
    assert 500 < measure.zipped_size(folder) < 850
    before = measure.zipped_size(folder)
    time.sleep(0.01)
    (folder / "a").touch()
    assert measure.zipped_size(folder) == before


def test_what_is_not_there_has_no_size(tmp_path):
    for measured in (measure.size, measure.zipped_size):
        with pytest.raises(FileNotFoundError, match="no file or folder at .*net"):
            measured(tmp_path / "net.tflite")


def test_a_model_weighs_its_file_without_the_optimizer(tmp_path):
    model = on_images(layers.Flatten(), layers.Dense(10))
    state = random.getstate()
    bare = measure.profile(model, latency=False)
    assert random.getstate() == state
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(np.zeros((2, 8, 8, 4)), np.zeros(2), verbose=0)
    trained = measure.profile(model, latency=False)
    assert abs(trained.bytes - bare.bytes) < 200
    path = tmp_path / "net.keras"
    model.save(path)
    assert measure.profile(path, latency=False).bytes == path.stat().st_size
    assert path.stat().st_size > trained.bytes + 2 * 4 * 2560
    assert zipfile.is_zipfile(path)
