"""Averaged weights are validated and kept; training goes on with its own.

Polyak, Juditsky (1992), "Acceleration of Stochastic Approximation by Averaging",
https://doi.org/10.1137/0330046
Izmailov et al. (2018), "Averaging Weights Leads to Wider Optima and Better
Generalization", https://arxiv.org/abs/1803.05407
"""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from compression import projection
from experiments.training.batch_norm import Reestimation
from experiments.training.settings import Training


class Averaging(keras.callbacks.Callback):
    """Lends the model averaged weights while it is validated.

    They are put back on the set that a projection holds them on (averaged weights of
    a pruned net keep its zeros), and batch norm is estimated for them on the train
    batches of the epoch. A subclass says what the average is.

    Args:
        train: as `fit` takes it.

    Attributes:
        first_epoch: before that epoch (from 0) there is no average.
        variables: the state that a checkpoint must hold beside model and optimizer.
    """

    first_epoch = 0

    def __init__(self, train: Callable):
        super().__init__()
        self.train = train
        self.variables: list[keras.Variable] = []
        self._reestimation = None
        self._validated: list[np.ndarray] = []

    def lend(self) -> None:
        """Give the model's trainable variables their averages."""
        raise NotImplementedError

    def weights(self) -> list[np.ndarray]:
        """Of the model as it was validated last, in the order of `model.weights`."""
        return self._validated

    def on_train_begin(self, logs=None):
        self._reestimation = Reestimation(self.model)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_test_begin(self, logs=None):
        self._own = _values(self.model)
        if self.epoch < self.first_epoch:
            return
        self.lend()
        projection.put_back(self.model)
        batches = self.train(self.epoch)
        self._reestimation(batches.dataset.take(batches.steps_per_epoch))

    def on_test_end(self, logs=None):
        self._validated = _values(self.model)
        for variable, value in zip(self.model.weights, self._own, strict=True):
            variable.assign(value)


class Exponential(Averaging):
    """The moving average that an optimizer with `use_ema` keeps among its variables."""

    def lend(self):
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)


class Equal(Averaging):
    """The mean of the weights after each epoch from `first_epoch` on.

    Args:
        train: as `fit` takes it.
        model: that is trained.
        first_epoch: the first one that counts, from 0.
    """

    def __init__(self, train: Callable, model: keras.Model, first_epoch: int):
        super().__init__(train)
        self.first_epoch = first_epoch
        self.variables = [
            keras.Variable(ops.zeros_like(v), trainable=False, name="average")
            for v in model.trainable_variables
        ]

    def lend(self):
        share = 1 / (self.epoch - self.first_epoch + 1)
        for average, variable in zip(
            self.variables, self.model.trainable_variables, strict=True
        ):
            average.assign(average + share * (variable - average))
            variable.assign(average)


def averaging(
    settings: Training, train: Callable, model: keras.Model
) -> Averaging | None:
    """The averaging that the settings ask for, if they do."""
    if settings.averaging == "ema":
        return Exponential(train)
    if settings.averaging == "swa":
        first_epoch = round(settings.averaging_from * settings.epochs)
        first_epoch = min(first_epoch, settings.epochs - 1)
        return Equal(train, model, first_epoch)
    return None


def _values(model):
    return [ops.convert_to_numpy(weight) for weight in model.weights]
