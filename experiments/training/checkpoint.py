"""The whole state of a training after each epoch, in one file written atomically."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import keras
import numpy as np
from keras import ops

from compression.atomic import replacing
from compression.projection import Projection
from compression.weights import not_finite
from experiments.arrays import read_arrays
from experiments.files import from_json
from experiments.training.averaging import Averaging
from experiments.training.strategies import worker

MONITOR = "val_accuracy"


class Best(TypedDict, total=False):
    """Both, or none while no epoch has counted."""

    epoch: int
    score: float


class State(TypedDict):
    """What the file holds beside arrays, as JSON."""

    history: dict[str, list[float]]
    best: Best
    stopped: bool


class Checkpoint(keras.callbacks.Callback):
    """Keeps what an interrupted training needs to go on as if nothing had happened.

    The file holds every variable of model (random states of dropout, too) and
    optimizer, the history, and the weights of the best epoch so far. It also stops a
    training that no longer improves, or whose loss is no number any more.

    Args:
        path: the file.
        patience: epochs without a better validation top-1 before training stops.
        best_from: epochs before this one (from 0) do not count as best.
        averaging: whose weights are validated and kept, and whose state the file holds;
            None: the model's own.
        projections: callbacks that come before this one; the file holds what they keep.
    """

    def __init__(
        self,
        path: Path,
        *,
        patience: int | None = None,
        best_from: int = 0,
        averaging: Averaging | None = None,
        projections: Sequence[Projection] = (),
    ):
        super().__init__()
        self.path = path
        self.patience = patience
        self.best_from = best_from
        self.averaging = averaging
        self.projections = projections
        self._of_projections: dict[str, np.ndarray] = {}
        self.history: dict[str, list[float]] = {"epoch": []}
        self.best: dict[str, float] = {}
        self.best_weights: list[np.ndarray] = []
        self.stopped = False

    def restore(self, model: keras.Model) -> int:
        """Bring back the state, if there is a file; returns the epoch to start with.

        Raises:
            ValueError: the file is damaged or belongs to another model.
        """
        if not self.path.exists():
            return 0
        try:
            arrays = read_arrays(self.path)
            text = str(arrays.pop("state", ""))
            state = from_json(text, "its state", State)
            _require_whole(state)
        except ValueError as error:
            damaged = str(error)
            if str(self.path) not in damaged:
                damaged = f"{self.path} is damaged ({error})"
            raise ValueError(f"{damaged}; delete it to train afresh") from error
        held = [name for name in arrays if name.startswith("projection/")]
        self._of_projections = {name: arrays.pop(name) for name in held}
        variables = self._variables(model)
        best = {f"best/{i}": v for i, v in enumerate(model.weights) if state["best"]}
        if _kinds(variables | best) != _kinds(arrays):
            raise ValueError(f"{self.path} belongs to another model; delete it")
        for name, variable in variables.items():
            variable.assign(arrays[name])
        self.history, self.best = state["history"], state["best"]
        self.stopped = state["stopped"]
        self.best_weights = [arrays[name] for name in best]
        return len(self.history["epoch"])

    def on_train_begin(self, logs=None):
        """Projections have nothing to keep before a training begins: now they have."""
        arrays, self._of_projections = self._of_projections, {}
        variables = self._projected()
        if arrays and _kinds(variables) != _kinds(arrays):
            raise ValueError(f"{self.path} belongs to another training; delete it")
        for name, value in arrays.items():
            variables[name].assign(value)

    def on_train_batch_end(self, batch, logs=None):
        if not math.isfinite(float(logs["loss"])):
            self._diverged(
                f"the loss became {float(logs['loss'])}", f", step {batch + 1}"
            )

    def _diverged(self, what, where=""):
        epoch = len(self.history["epoch"])
        kept = f"{self.path} holds epoch {epoch}" if epoch else "no epoch was whole"
        raise FloatingPointError(
            f"{what} in epoch {epoch + 1}{where}; {kept}; try a lower learning rate or "
            "a clip_norm"
        )

    def on_epoch_end(self, epoch, logs=None):
        path = not_finite(self.model.weights)
        if path is not None:  # a ReLU makes zeros of NaN: the loss need not show it
            self._diverged(f"{path} became not finite")
        self.history["epoch"].append(epoch + 1)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))
        rate = float(ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self.history.setdefault("learning_rate", []).append(rate)
        score = (self.history.get(MONITOR) or [-v for v in self.history["val_loss"]])[
            -1
        ]
        # Equal scores: the later epoch, trained at the lower rate.
        if epoch >= self.best_from and score >= self.best.get("score", -math.inf):
            self.best = {"epoch": epoch + 1, "score": score}
            self.best_weights = self._validated()
        if self.patience is not None and self.best:
            self.stopped = epoch + 1 - self.best["epoch"] >= self.patience
        self._write()
        self.model.stop_training = self.stopped

    def take_best(self, model: keras.Model) -> None:
        """Give `model` the weights of the best epoch."""
        if self.best_weights:
            model.set_weights(self.best_weights)

    def _validated(self):
        if self.averaging is not None:
            return self.averaging.weights()
        return [ops.convert_to_numpy(weight) for weight in self.model.weights]

    def _variables(self, model):
        groups = {"model": model.variables, "optimizer": model.optimizer.variables}
        if self.averaging is not None:
            groups["averaging"] = self.averaging.variables
        return {
            f"{group}/{i}": variable
            for group, variables in groups.items()
            for i, variable in enumerate(variables)
        }

    def _projected(self):
        kept = [variable for each in self.projections for variable in each.kept]
        return {f"projection/{i}": variable for i, variable in enumerate(kept)}

    def _write(self):
        if not worker().is_chief:  # all have the same, and one file
            return
        variables = self._variables(self.model) | self._projected()
        arrays = {
            name: ops.convert_to_numpy(variable) for name, variable in variables.items()
        }
        arrays |= {f"best/{i}": value for i, value in enumerate(self.best_weights)}
        state = {"history": self.history, "best": self.best, "stopped": self.stopped}
        with replacing(self.path) as path, path.open("wb") as file:
            np.savez(file, state=np.array(json.dumps(state)), **arrays)


def _require_whole(state):
    """The epochs are counted from 1, and the best is one of them."""
    history, best = state["history"], state["best"]
    epochs = history.get("epoch", [])
    if not epochs or epochs != list(range(1, len(epochs) + 1)):
        raise ValueError("its epochs are not counted from 1")
    if any(len(values) > len(epochs) for values in history.values()):
        raise ValueError("it has values of more epochs than there were")
    if best and (best.keys() != {"epoch", "score"} or best["epoch"] not in epochs):
        raise ValueError("its best epoch is none of its epochs")


def _kinds(variables):
    """Shape and dtype of each."""
    return {n: (tuple(v.shape), str(v.dtype)) for n, v in variables.items()}
