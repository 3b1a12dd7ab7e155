"""Trainings that hold weights on a set, cut and taken up again, bit for bit."""

import keras
import numpy as np
import pytest
from keras import layers

from compression.pruning import DynamicSurgery, PolynomialDecay, Prune, RigL
from experiments.data import load, pipeline
from experiments.data.augment import Augment
from experiments.training import fit as training
from experiments.training.optimizers import LabelLoss
from experiments.training.settings import Training

pytestmark = pytest.mark.usefixtures("eagerly")
STEPS = 1257 // 256


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def net():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(8, 3, strides=2, name="conv"),
            layers.Flatten(),
            layers.Dense(16, activation="relu", name="fc"),
            layers.Dense(10, name="logits"),
        ]
    )


def fit(data, folder, projection, *callbacks):
    model = net()
    trained = training.fit(
        model,
        lambda first: pipeline.training_batches(
            data, batch_size=256, seed=0, augment=Augment(), first_epoch=first
        ),
        pipeline.evaluation_batches(data, "validation"),
        Training(epochs=3, batch_size=256, learning_rate=3e-3, keep="last"),
        loss=LabelLoss(),
        checkpoint=folder / "checkpoint.npz",
        callbacks=[projection, *callbacks],
    )
    return model.get_weights(), trained


class Interrupt(keras.callbacks.Callback):
    """In the third epoch: a checkpoint holds two."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


def movement():
    schedule = PolynomialDecay(0.5, begin=0, end=11, frequency=3)
    return Prune(schedule, pattern="2:4", saliency="movement", exempt=("first",))


def surgery():
    schedule = PolynomialDecay(0.5, begin=0, end=11, frequency=5)
    return DynamicSurgery(schedule, every=3)


def rigl():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(16, 8, 8, 1)).astype("float32")
    return RigL(0.5, [(images, np.arange(16) % 10)], until=11, every=3)


@pytest.mark.parametrize(
    "make",
    [*(pytest.param(x, marks=pytest.mark.slow) for x in (movement, surgery)), rigl],
)
def test_what_a_projection_keeps_comes_back(digits, make, tmp_path):
    expected, whole = fit(digits, tmp_path / "whole", make())
    with pytest.raises(KeyboardInterrupt):
        fit(digits, tmp_path / "cut", make(), Interrupt())
    again, resumed = fit(digits, tmp_path / "cut", make())
    for a, b in zip(expected, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert resumed == whole
    assert whole.history["sparsity"][2] == 0.5


def test_a_checkpoint_of_another_projection_is_refused(digits, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(digits, tmp_path, movement(), Interrupt())
    with pytest.raises(ValueError, match="belongs to another training; delete it"):
        fit(digits, tmp_path, Prune(PolynomialDecay(0.5, begin=0, end=8)))
