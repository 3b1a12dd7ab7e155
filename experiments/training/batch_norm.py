"""Batch norm's statistics: of a short training, or of weights no batch has trained.

Izmailov et al. (2018), "Averaging Weights Leads to Wider Optima and Better
Generalization", https://arxiv.org/abs/1803.05407, section 3.2: averaged weights have
never seen an image, so that moving statistics of the training do not fit them.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import keras
import numpy as np
from keras import ops

from compression.batch_norm import batch_norms, momentum_lent
from experiments.training import strategies

USUAL = 0.9  # momentum of our own nets, which stays
MEMORIES = 10  # a training has so many: e^-10 is left of what was there before it


@contextmanager
def forgetting(model: keras.Model, steps: int) -> Iterator[None]:
    """A training of so many steps: no moving statistics outlast it.

    Those of MobileNetV2 in `keras.applications` (momentum 0.999) remember a thousand
    steps, and would be validated with what was there at first. Afterwards the layers
    have their own momentum again.
    """
    most = max(USUAL, 1 - MEMORIES / steps)
    norms = batch_norms(model)
    with momentum_lent(norms):
        for norm in norms:
            norm.momentum = min(norm.momentum, most)
        yield


class Reestimation:
    """Sets the moving statistics of a model to their means over given batches.

    All else of the model stays as it is, random states, too. What is frozen keeps its
    statistics. Compiled once, called as often as wanted.

    Args:
        model: a net, or a trainer around one.
    """

    def __init__(self, model: keras.Model):
        self.model = model
        self.layers = batch_norms(model)
        self._forward = None

    def __call__(self, batches: Iterable) -> None:
        """One pass over `batches`, tuples that begin with the model's inputs."""
        if not self.layers:
            return
        moving = [v for x in self.layers for v in (x.moving_mean, x.moving_variance)]
        before = [(v, ops.convert_to_numpy(v)) for v in self.model.variables]
        sums, count = [np.zeros(v.shape) for v in moving], 0
        for inputs, *_ in batches:
            self._run(inputs)
            for total, variable in zip(sums, moving, strict=True):
                total += ops.convert_to_numpy(variable)
            count += 1
        for variable, value in before:
            variable.assign(value)
        for variable, total in zip(moving, sums, strict=True):
            variable.assign(_mean_over_workers((total / count).astype("float32")))

    def _run(self, inputs):
        """A step forward as in training; the statistics are this batch's afterwards."""
        if self._forward is None:
            import tensorflow as tf

            self._forward = tf.function(
                lambda images: self.model(images, training=True), reduce_retracing=True
            )
        with momentum_lent(self.layers):
            for layer in self.layers:
                layer.momentum = 0.0
            self._forward(inputs)


def _mean_over_workers(value):
    """Of statistics that each worker has found on its part of the batches."""
    import tensorflow as tf

    if strategies.worker().count == 1:
        return value
    return strategies.mean(tf.distribute.get_strategy(), value)
