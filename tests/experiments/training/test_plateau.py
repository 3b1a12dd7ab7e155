"""The rate drops when validation top-1 stands still, after an interruption, too."""

import keras
import numpy as np
import pytest

from experiments.data import load, pipeline
from experiments.training import fit as training
from experiments.training.optimizers import LabelLoss
from experiments.training.plateau import Plateau
from experiments.training.settings import Training

SETTINGS = Training(
    epochs=8, learning_rate=0.5, schedule="plateau", plateau_patience=2, drop_factor=0.1
)


def rates(scores, known=0):
    """The rate after each epoch; the first `known` were before an interruption."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(SETTINGS.learning_rate))
    plateau = Plateau(SETTINGS, scores[:known])
    plateau.set_model(model)
    plateau.on_train_begin()
    found = []
    for epoch, score in enumerate(scores[known:], start=known):
        plateau.on_epoch_end(epoch, {"val_accuracy": score})
        found.append(float(model.optimizer.learning_rate))
    return found


def test_the_rate_by_hand():
    scores = [0.5, 0.6, 0.6, 0.6, 0.6, 0.7, 0.7, 0.65, 0.65]
    expected = [0.5, 0.5, 0.5, 0.05, 0.05, 0.05, 0.05, 0.005, 0.005]
    whole = rates(scores)
    np.testing.assert_allclose(whole, expected, rtol=1e-6)
    for known in range(len(scores)):
        assert rates(scores, known) == whole[known:]


class Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 4:
            raise KeyboardInterrupt


@pytest.mark.usefixtures("eagerly")
@pytest.mark.slow
def test_an_interrupted_training_drops_where_a_whole_one_does(tmp_path):
    digits = load("digits")
    settings = Training(
        epochs=7, batch_size=600, learning_rate=1e-8, optimizer="sgd",
        schedule="plateau", plateau_patience=3, accumulation=3, averaging="ema",
        averaging_momentum=0.5,
    )  # fmt: skip

    def fit(folder, *callbacks):
        keras.utils.set_random_seed(0)
        image = keras.Input(digits.image_shape)
        x = keras.layers.Flatten()(image)
        model = keras.Model(image, keras.layers.Dense(10)(x))
        trained = training.fit(
            model,
            lambda first: pipeline.training_batches(
                digits, batch_size=600, seed=0, first_epoch=first
            ),
            pipeline.evaluation_batches(digits, "validation"),
            settings,
            loss=LabelLoss(),
            checkpoint=folder / "checkpoint.npz",
            callbacks=callbacks,
        )
        return model.get_weights(), trained

    expected, whole = fit(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "cut", Interrupt())
    again, resumed = fit(tmp_path / "cut")
    assert resumed == whole
    for a, b in zip(expected, again, strict=True):
        np.testing.assert_array_equal(a, b)
    rates = whole.history["learning_rate"]
    np.testing.assert_allclose(rates, 4 * [1e-8] + 3 * [1e-9], rtol=1e-6)
