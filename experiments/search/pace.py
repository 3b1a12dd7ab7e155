"""How long a training will take, from steps that were timed and trainings that ran."""

import keras

from compression.copies import copied
from experiments.data import Data
from experiments.data.pipeline import first_batches
from experiments.training.optimizers import LabelLoss
from experiments.training.step_time import step_seconds

STARTING = 15.0  # seconds until a training's first step, its graph being built
FIXED = 0.2  # share of a step that does not shrink with the net
STEPS = 3
LEAST_FACTOR, MOST_FACTOR = 0.05, 20.0  # of the time that was expected


class Pace:
    """Epochs that fit into a time.

    Args:
        model: the given one, as logits.
        data: whose train split an epoch goes through.
        batch_size: images a step.
    """

    def __init__(self, model: keras.Model, data: Data, batch_size: int):
        self._images = data.train.size
        self._validation = data.validation.size
        self._factor = 1.0
        self.per_image = _seconds_per_image(model, data, batch_size)

    def seconds(self, share: float, epochs: int) -> float:
        """Of a training of so many epochs.

        Args:
            share: multiply-accumulates of the net, in parts of the given model's.
            epochs: of the train split; validation is a third of its images' time.
        """
        images = self._images + self._validation / 3
        step = self.per_image * (FIXED + (1 - FIXED) * share) * self._factor
        return STARTING + epochs * images * step

    def epochs(self, share: float, seconds: float) -> int:
        """The epochs that fit into so many seconds, at least one."""
        each = self.seconds(share, 1) - STARTING
        return max(1, int((seconds - STARTING) / each))

    def observe(self, share: float, epochs: int, seconds: float) -> None:
        """A training took so long: those to come will, too.

        Of a short one most of the time went before its first step: it says that steps
        are slower than expected, if it was slow, but never that they are faster.
        """
        self._factor = 1.0
        expected = self.seconds(share, epochs) - STARTING
        least = LEAST_FACTOR if expected > STARTING else 1.0
        found = (seconds - STARTING) / expected
        self._factor = min(max(found, least), MOST_FACTOR)


def _seconds_per_image(model, data, batch_size):
    """Of a step of training, measured on a copy."""
    copy = copied(model)
    copy.compile("sgd", LabelLoss(), jit_compile=False)
    batch = first_batches(data, "train", batch_size)[0]
    return step_seconds(copy, batch, STEPS) / STEPS / len(batch[0])
