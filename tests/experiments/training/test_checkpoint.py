"""What the checkpoint keeps, without a training."""

import io
import json
import random
import zipfile

import keras
import numpy as np
import pytest

from experiments.training.checkpoint import Checkpoint


def test_of_equally_good_epochs_the_later_is_the_best(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd")
    keeper = Checkpoint(tmp_path / "checkpoint.npz")
    keeper.set_model(model)
    for epoch, score in enumerate([0.5, 0.75, 0.75, 0.25]):
        model.layers[0].bias.assign([epoch + 1])
        keeper.on_epoch_end(epoch, {"val_accuracy": score})
    assert keeper.best == {"epoch": 3, "score": 0.75}
    keeper.take_best(model)
    assert model.layers[0].get_weights()[1] == [3]


@pytest.fixture(scope="module")
def model():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("adam")
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.fixture(scope="module")
def whole(model, tmp_path_factory):
    """The bytes of a checkpoint after two epochs."""
    path = tmp_path_factory.mktemp("whole") / "checkpoint.npz"
    keeper = Checkpoint(path)
    keeper.set_model(model)
    for epoch in range(2):
        keeper.on_epoch_end(epoch, {"val_accuracy": 0.5})
    assert Checkpoint(path).restore(model) == 2
    return path.read_bytes()


def refused(content, model, path):
    path.write_bytes(content)
    try:
        Checkpoint(path).restore(model)
    except ValueError as error:
        assert str(path) in str(error) and "delete it" in str(error), error
        return True
    return False


def test_damaged_bytes_are_refused_or_harmless(whole, model, tmp_path):
    rng, count = random.Random(0), 0
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(rng.choice((1, 3, 20))):
            content[rng.randrange(len(content))] = rng.randrange(256)
        count += refused(content, model, tmp_path / "a.npz")
        count += refused(whole[: rng.randrange(len(whole))], model, tmp_path / "b.npz")
    assert count > 200
    for content in (b"", b"PK", b"\x93NUMPY", rng.randbytes(300)):
        assert refused(content, model, tmp_path / "c.npz")


STATE = {"history": {"epoch": [1, 2]}, "best": {"epoch": 1, "score": 0.5}}
STATE |= {"stopped": False}


@pytest.mark.parametrize(
    "change",
    [
        {"state": np.array(7)},
        {"state": np.array("{")},
        {"state": np.array(json.dumps([STATE]))},
        {"state": np.array(json.dumps(STATE | {"history": {}}))},
        {"state": np.array(json.dumps(STATE | {"history": {"epoch": [2, 1]}}))},
        {"state": np.array(json.dumps(STATE | {"history": {"epoch": "ab"}}))},
        {"state": np.array(json.dumps(STATE | {"best": {"epoch": 3, "score": 1}}))},
        {"state": np.array(json.dumps(STATE | {"best": {"epoch": 1}}))},
        {"state": np.array(json.dumps(STATE | {"best": {}}))},  # with best weights
        {"state": np.array(json.dumps(STATE | {"stopped": 0}))},
        {"state": None},
        {"best/0": None},
        {"best/0": np.zeros(3, "f4")},
        {"best/9": np.zeros(3, "f4")},
        {"model/0": np.zeros((2, 1), "f8")},
        {"model/0": np.array([["a"], ["b"]])},
        {"model/0": np.zeros((2, 1), object)},
    ],
)
def test_arrays_of_another_training_are_refused(whole, model, tmp_path, change):
    arrays = dict(np.load(io.BytesIO(whole))) | change
    content = io.BytesIO()
    np.savez(content, **{k: v for k, v in arrays.items() if v is not None})
    assert refused(content.getvalue(), model, tmp_path / "checkpoint.npz")


def test_a_compressed_file_is_refused_before_it_is_read(model, tmp_path):
    """A few kilobytes can unfold into any number of gigabytes."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/0.npy", bytes(1000))
    assert refused(content.getvalue(), model, tmp_path / "checkpoint.npz")
    with pytest.raises(ValueError, match="it is compressed, which no file of ours is"):
        Checkpoint(tmp_path / "checkpoint.npz").restore(model)
