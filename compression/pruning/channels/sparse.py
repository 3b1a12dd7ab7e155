"""Training that makes channels small before they are removed."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from compression.arguments import names, shown
from compression.pruning.channels.groups import couple
from compression.pruning.channels.penalties import (
    GroupLasso,
    GrowingL2,
    Slimming,
    Units,
    Weight,
)
from compression.pruning.channels.planning import free_groups


class SparseChannels(keras.callbacks.Callback):
    """Shrinks coupled channels after each update, so that the cut costs less.

    The model is compiled as always, with any loss, and stays an ordinary one. Of a
    `Distiller` it is the student that is shrunk. Frozen weights stay as they are.
    Steps of a schedule are counted from the first epoch, so that
    `fit(initial_epoch=...)` goes on where it stood. Where `steps_per_execution` is
    more than one, the weights are shrunk after each execution, for all of its updates.
    Batches without an update, whose gradients are accumulated or overflow, shrink
    nothing.

    Args:
        penalty: `Slimming`, `GroupLasso` or `GrowingL2`.
        exempt: names of layers, or patterns as in "block1_*", all of whose channels
            are left alone.

    Raises:
        ValueError: there is no such penalty; when training begins: the net has no
            graph, layers that no rule covers, or nothing that can be shrunk.
    """

    def __init__(
        self,
        penalty: Slimming | GroupLasso | GrowingL2,
        *,
        exempt: Sequence[str] = (),
    ):
        super().__init__()
        has = (hasattr(penalty, name) for name in ("weights", "amounts", "shrink"))
        if isinstance(penalty, type) or not all(has):
            raise ValueError(
                "penalty must be Slimming(...), GroupLasso(...) or GrowingL2(...), got "
                f"{shown(penalty)}"
            )
        self.penalty, self.exempt = penalty, names("exempt", exempt)
        self._steps_done = 0

    def on_train_begin(self, logs=None):
        net = getattr(self.model, "student", self.model)
        coupling = couple(net)
        groups = free_groups(coupling, self.exempt)
        number = np.full(len(coupling.roots), -1)
        free = np.concatenate([[], *(group.units for group in groups)]).astype(int)
        number[free] = np.arange(len(free))
        self._weights = [
            Weight(axis.variable, axis.axis, np.where(found < 0, len(free), found))
            for axis in self.penalty.weights(coupling)
            for found in [number[coupling.units_of(axis.channels)]]
            if axis.variable.trainable and (found >= 0).any()
        ]
        if not self._weights:
            slims = isinstance(self.penalty, Slimming)
            why = ": it shrinks scales of batch norm, gamma" if slims else ""
            raise ValueError(
                f"{net.name!r} has no channels that {type(self.penalty).__name__} "
                f"could shrink{why}"
            )
        self._units = Units(
            np.repeat(np.arange(len(groups)), [len(group.units) for group in groups]),
            self.penalty.amounts(coupling)[free],
        )
        self._shrink = _compiled(self._shrink_eagerly)
        self._updates = self._updates_so_far()

    def on_epoch_begin(self, epoch, logs=None):
        steps = self.params.get("steps")
        self._epoch_start = self._steps_done if steps is None else epoch * steps

    def on_train_batch_end(self, batch, logs=None):
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()
        self._steps_done = self._epoch_start + batch + 1
        before, self._updates = self._updates, self._updates_so_far()
        count = self._updates - before
        if count == 0:
            return
        rate = ops.convert_to_tensor(self.model.optimizer.learning_rate, "float32")
        step = ops.convert_to_tensor(self._epoch_start + batch, "float32")
        self._shrink(rate * count, step)

    def _updates_so_far(self):
        """Of the optimizer: where gradients are accumulated, of several batches one."""
        return int(ops.convert_to_numpy(self.model.optimizer.iterations))

    def _shrink_eagerly(self, rate, step):
        self.penalty.shrink(self._weights, self._units, rate, step)


def _compiled(function):
    """One graph instead of a few operations for each weight, where it can be had."""
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf  # only where it is the backend: the room is Keras's

    return tf.function(function)
