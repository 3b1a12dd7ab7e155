"""Masked weights go on learning behind their mask, and may come back.

Guo, Yao, Chen (2016), "Dynamic Network DynamicSurgery for Efficient DNNs",
https://arxiv.org/abs/1608.04493, section 3.
"""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from compression.arguments import require_number
from compression.pruning.prune import Prune


class DynamicSurgery(Prune):
    """Prunes by magnitude; what turns out to matter is spliced in again.

    The net computes with masked weights. Their gradients move the weights behind the
    mask too (equation 6 of the paper), and those are what the next mask is made of.
    The paper finds masks by two thresholds for each layer; here as many weights go as
    the schedule asks for. A training that is cut goes on where it was if its
    checkpoint holds what is `kept`; a reload of the model alone forgets what is
    behind the mask.

    Args:
        schedule: as `Prune` takes it.
        every: steps between two masks; one comes, too, where the schedule moves.
        until: the step from which masks stay, so that the rest trains with the last;
            None: they never do.
        options: as `Prune` takes them; the saliency is the magnitude.

    Raises:
        ValueError: a value is out of its range; in `fit`: the backend is JAX, whose
            compiled step keeps no weights behind a mask.
    """

    def __init__(
        self,
        schedule: Callable[[int], float],
        *,
        every: int = 100,
        until: int | None = None,
        **options,
    ):
        super().__init__(schedule, **options)
        require_number("every", every, whole=True)
        if until is not None:
            require_number("until", until)
        if every < 1:
            raise ValueError(f"every must be at least 1, got {every}")
        if options.get("saliency", "magnitude") != "magnitude":
            raise ValueError("surgery goes by magnitude: it takes no other saliency")
        self.every = every
        self.until = until
        self._behind, self._moved = [], {}

    @property
    def kept(self):
        return [*self.states, *self._behind]

    def chosen(self, model):
        if keras.backend.backend() == "jax":
            raise ValueError("surgery trains on TensorFlow or PyTorch, not on JAX")
        return super().chosen(model)

    def initial_state(self, variable):
        return (ops.convert_to_numpy(variable) != 0).astype(variable.dtype)

    def on_train_begin(self, logs=None):
        self._moved = {}
        super().on_train_begin(logs)
        self._behind = [_like(v) for v in self.variables]
        self._moved = {id(state): _like(state) for state in self.states}

    def after_step(self, value, state):
        moved = self._moved.get(id(state))
        if moved is not None:  # read after the step: others may project meanwhile
            masked = ops.equal(state, 0)  # summed where several steps run together
            moved.assign(ops.where(masked, moved.value + value, value))
        return super().after_step(value, state)

    def on_train_batch_begin(self, batch, logs=None):
        super().on_train_batch_begin(batch, logs)
        for variable, state in zip(self.variables, self.states, strict=True):
            # As after a step that does nothing: loss scaling skips some.
            masked = ops.equal(state.value, 0)
            still = ops.where(masked, ops.zeros_like(variable.value), variable.value)
            self._moved[id(state)].assign(still)

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        for behind, state in zip(self._behind, self.states, strict=True):
            moved = self._moved[id(state)]
            behind.assign(ops.where(state.value == 0, behind.value + moved, moved))

    def update(self, step):
        sparsity = self.schedule(step)
        before = self.before(step)
        moves = not step or sparsity != self.schedule(before)
        due = step // self.every > before // self.every
        due = due and (self.until is None or step <= self.until)
        if not moves and not due:
            if sparsity != self.sparsity:  # it goes on after a reload
                self.sparsity = sparsity
                self.delivered = self._delivered(list(map(_array, self.states)))
            return
        weights = list(map(_array, self._behind))
        found = self._masks_of(list(map(np.abs, weights)), weights, sparsity)
        self._take(found, weights, sparsity)


def _like(variable):
    return keras.Variable(_array(variable), trainable=False, name="behind")


def _array(variable):
    return ops.convert_to_numpy(variable)
