"""Pruning while training: a mask that follows a schedule, as a Keras callback."""

import warnings
from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from compression.projection import Projection
from compression.pruning.masks import (
    FLOOR,
    SCOPES,
    least_kept,
    magnitude_masks,
    require_floor,
)

PATTERNS = ("element",)
NEARLY_NOTHING = 0.01  # of a kernel's weights: named in a warning


class Prune(Projection):
    """Holds weights of small magnitude at zero while the model trains.

    The model stays an ordinary one: after training its sparsity is exact, there is
    nothing to strip, and a later `fit` without this callback is free again. Works on
    a model fitted before, inside a `Distiller`, with weight averaging (averaged
    weights are masked at the end), and continues after a reload in mid-schedule with
    `fit(initial_epoch=...)`: the zeros are the mask.

    The sparsity asked for by the schedule stands in the logs as `sparsity`; kernels
    that are left with 1 % of their weights or less are named in a warning.

    Args:
        schedule: function of the step that gives the fraction of zeros:
            `ConstantSparsity` or `PolynomialDecay`.
        pattern: "element": single weights.
        scope: "layer": the same sparsity in every kernel; "global": over all kernels
            together, so that it differs from layer to layer.
        floor: with "global", the fraction of every kernel that stays at least, see
            `magnitude_masks`.
        select: keeps the kernels for which it is true; all of them by default.

    Raises:
        ValueError: there is no such pattern or scope, `floor` is no fraction,
            or (in `fit`) no kernel is left.
    """

    def __init__(
        self,
        schedule: Callable[[int], float],
        *,
        pattern: str = "element",
        scope: str = "global",
        floor: float = FLOOR,
        select: Callable[[keras.Variable], bool] | None = None,
    ):
        super().__init__(select)
        if pattern not in PATTERNS:
            raise ValueError(
                f"no pattern called {pattern!r}; choose from {', '.join(PATTERNS)}"
            )
        if scope not in SCOPES:
            raise ValueError(
                f"no scope called {scope!r}; choose from {', '.join(SCOPES)}"
            )
        require_floor(floor)
        self.schedule = schedule
        self.pattern = pattern
        self.scope = scope
        self.floor = floor
        self._begin()

    def _begin(self):
        self.sparsity = self.delivered = 0.0
        self._named = set()  # kernels that a warning has named
        self._found, self._outdated = None, []

    def initial_state(self, variable):
        return np.ones(variable.shape, variable.dtype)

    def project(self, value, state):
        return value * ops.cast(state, value.dtype)

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self._begin()

    def update(self, step):
        sparsity = self.schedule(step)
        if sparsity == self.sparsity:
            return
        self.sync()
        weights = [ops.convert_to_numpy(variable) for variable in self.variables]
        masks = magnitude_masks(weights, sparsity, scope=self.scope, floor=self.floor)
        for i, mask in enumerate(masks):
            self.states[i].assign(mask)
            self.variables[i].assign(weights[i] * mask)
        self.sparsity = sparsity
        self.delivered = self._delivered(masks)
        self._compare_from_here()
        if self.scope == "global":  # otherwise it is what was asked for
            self._name_the_nearly_empty(masks)

    def _delivered(self, masks):
        """`sparsity`; less where so many weights cannot go."""
        size = sum(mask.size for mask in masks)
        zeros = sum(np.count_nonzero(mask == 0) for mask in masks)
        rounding = len(masks) if self.scope == "layer" else 1
        missing = self.sparsity * size - zeros
        return zeros / size if missing > 0.5 * rounding + 1e-6 else self.sparsity

    def _name_the_nearly_empty(self, masks):
        """A warning for kernels of which next to nothing is left, once for each."""
        new = []
        for variable, mask in zip(self.variables, masks, strict=True):
            kept, few = np.count_nonzero(mask), least_kept(mask.size, NEARLY_NOTHING)
            if kept <= few and variable.path not in self._named:
                self._named.add(variable.path)
                if few < mask.size:
                    new.append(f"{variable.path} ({kept} of {mask.size})")
        if new:
            warnings.warn(
                f"at a sparsity of {self.sparsity:.3f} over all layers, "
                f"{NEARLY_NOTHING:.0%} of the weights or fewer are left of: "
                f"{', '.join(new)}; ask for less, raise floor (it is {self.floor}), "
                'or prune with scope="layer"',
                stacklevel=2,
            )

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs["sparsity"] = self.delivered

    def on_train_end(self, logs=None):
        self._note_what_was_set()
        super().on_train_end(logs)
        final = getattr(self.schedule, "final", self.sparsity)
        if self.sparsity != final:
            warnings.warn(
                f"training ended in mid-schedule: sparsity is {self.sparsity:.3f}, "
                f"not {final}; train longer, or let the schedule end sooner",
                stacklevel=2,
            )

    def after_all_callbacks(self):
        self._note_what_was_set()
        super().after_all_callbacks()
        if self._found is not None:
            warnings.warn(
                f"a callback set weights with {self._found:.1%} zeros at the end of "
                f"training, {self.delivered:.1%} were asked for: they are masked again "
                "and not trained with that mask, so evaluate the net before use; let "
                "the callback wait until the schedule has ended",
                stacklevel=2,
            )
        for checkpoint in dict.fromkeys(self._outdated):
            if checkpoint.best is None:
                warnings.warn(
                    f"{checkpoint.filepath} holds no net with {self.sparsity:.1%} "
                    "zeros: ModelCheckpoint has saved none since the sparsity rose; "
                    "save the model itself, or train longer",
                    stacklevel=2,
                )

    def _compare_from_here(self):
        """The best net so far is one of less sparsity: none of those to come may lose
        to it, or it would be the one that is kept."""
        for checkpoint in self.others(keras.callbacks.ModelCheckpoint):
            if checkpoint.save_best_only and checkpoint.best is not None:
                checkpoint.best = None
                self._outdated.append(checkpoint)
        for stopping in self.others(keras.callbacks.EarlyStopping):
            if stopping.restore_best_weights:
                stopping.best = stopping.best_weights = None
                stopping.wait = 0

    def _note_what_was_set(self):
        """The fraction of zeros, where a callback has set weights off the mask."""
        optimizer = self.model.optimizer
        inner = getattr(optimizer, "inner_optimizer", optimizer)  # loss scaling
        if inner.use_ema:
            return  # averages are off the mask, and meant to be masked
        self.sync()
        values = [ops.convert_to_numpy(variable) for variable in self.variables]
        masks = [ops.convert_to_numpy(state) for state in self.states]
        if any(
            value[mask == 0].any() for value, mask in zip(values, masks, strict=True)
        ):
            zeros = sum(np.count_nonzero(value == 0) for value in values)
            self._found = zeros / sum(value.size for value in values)
