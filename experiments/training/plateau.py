"""The learning rate drops when validation top-1 no longer rises.

Krizhevsky et al. (2012), "ImageNet Classification with Deep Convolutional Neural
Networks", section 5; Zeiler, Fergus (2013), section 3, by hand.
"""

from collections.abc import Sequence

import keras

from experiments.training.checkpoint import MONITOR
from experiments.training.settings import Training


class Plateau(keras.callbacks.ReduceLROnPlateau):
    """Keras's callback, brought to where an interrupted training stood.

    Its counters and the rate follow from the scores, so these are gone through again.

    Args:
        settings: of the training.
        scores: validation top-1 of the epochs before, from the first on.
    """

    def __init__(self, settings: Training, scores: Sequence[float]):
        super().__init__(
            MONITOR,
            factor=settings.drop_factor,
            patience=settings.plateau_patience,
            mode="max",
            min_delta=0,
        )
        self.initial = settings.learning_rate
        self.scores = scores

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self.model.optimizer.learning_rate = self.initial
        for epoch, score in enumerate(self.scores):
            self.on_epoch_end(epoch, {MONITOR: score})
