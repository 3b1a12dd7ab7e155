"""How long a training will take, from steps that were timed and trainings that ran."""

import math
import time

import keras

from compression.copies import copied
from experiments.data import Data
from experiments.data.augment import Augment
from experiments.data.pipeline import first_batches, view_batches
from experiments.training.optimizers import LabelLoss
from experiments.training.step_time import step_seconds

STARTING = 15.0  # seconds, at least, until a first step: its graph is built
FIXED = 0.2  # share of a step that does not shrink with the net
STEPS = 3
READ = 8  # batches, at most, by which reading is timed
LONG = 4  # times as long as starting: no training that was short
LEAST_FACTOR, MOST_FACTOR = 0.05, 20.0  # of the time that was expected


class Pace:
    """Epochs that fit into a time.

    Args:
        model: the given one, as logits.
        data: whose train split an epoch goes through.
        batch_size: images a step.
        augment: what train images go through.
    """

    def __init__(
        self, model: keras.Model, data: Data, batch_size: int, augment: Augment
    ):
        self._data, self._batch_size = data, batch_size
        self._images = data.train.size
        self._validation = data.validation.size
        self._factor = 1.0
        self._shortest_start = math.inf
        self._expected = self._took = 0.0  # seconds of all trainings, without starting
        self.per_image = _seconds_per_image(model, data, batch_size)
        self.to_read = _seconds_to_read(data, batch_size, augment)

    @property
    def starting(self) -> float:
        """Seconds until a training's first step."""
        found = self._shortest_start
        return STARTING if math.isinf(found) else max(STARTING, found)

    def share(self, model: keras.Model) -> float:
        """Of a smaller net, as `seconds` takes it, by a step of its own.

        Odd numbers of channels, as a cut leaves them, take more time than their
        multiply-accumulates say.
        """
        step = _seconds_per_image(model, self._data, self._batch_size)
        return max(step / self.per_image - FIXED, 0.0) / (1 - FIXED)

    def seconds(self, share: float, epochs: int) -> float:
        """Of a training of so many epochs.

        Args:
            share: of the given model's step that shrinks with the net: its
                multiply-accumulates in parts of the model's, or as `share` says.
            epochs: of the train split; validation is a third of its images' time.
        """
        step = self.per_image * (FIXED + (1 - FIXED) * share)
        images = self._images + self._validation / 3
        read = (self._images + self._validation) * self.to_read
        return self.starting + epochs * (images * step + read) * self._factor

    def epochs(self, share: float, seconds: float) -> int:
        """The epochs that fit into so many seconds, at least one."""
        each = self.seconds(share, 1) - self.starting
        return max(1, int((seconds - self.starting) / each))

    def observe(
        self, share: float, epochs: int, seconds: float, *, graphs: int = 1
    ) -> None:
        """A training took so long: those to come will, too.

        All that were observed count, each for as long as it was expected to take. Of a
        short one most of the time went before its first step: it says how long that
        takes, the least that was seen.

        Args:
            share: as `seconds` takes it.
            epochs: that it had.
            seconds: that it took.
            graphs: that were built for it, one after the other.
        """
        expected = (self.seconds(share, epochs) - self.starting) / self._factor
        took = seconds - STARTING
        if max(expected, took / LONG) <= STARTING:
            start = (seconds - expected * self._factor) / graphs
            self._shortest_start = min(self._shortest_start, start)
            return
        self._expected += expected
        self._took += took
        found = self._took / self._expected
        self._factor = min(max(found, LEAST_FACTOR), MOST_FACTOR)


def _seconds_per_image(model, data, batch_size):
    """Of a step of training, measured on a copy."""
    copy = copied(model)
    copy.compile("sgd", LabelLoss(), jit_compile=False)
    batch = first_batches(data, "train", batch_size)[0]
    return step_seconds(copy, batch, STEPS) / STEPS / len(batch[0])


def _seconds_to_read(data, batch_size, augment):
    """Of an image on its way; on busy cores that comes on top of a step."""
    batches = view_batches(data, view=0, seed=0, augment=augment, batch_size=batch_size)
    images, start = 0, None
    for batch in batches.take(READ + 1):
        if start is None:  # the first one waits for what is built for all
            start = time.perf_counter()
        else:
            images += len(batch)
    return (time.perf_counter() - start) / images if images else 0.0
