"""A net is trained, pruned and rewound to early weights, again and again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from compression import pruning
from compression.atomic import replacing
from compression.pruning.masks import AUTO
from experiments.arrays import read_arrays
from experiments.data import Data
from experiments.stages import fitting
from experiments.stages.base import Job
from experiments.stages.prune import zeros
from experiments.stages.training_stage import TrainingStage
from experiments.training.fit import Trained


@dataclass(frozen=True)
class Ticket(TrainingStage):
    """Iterative pruning with rewinding: a lottery ticket (Frankle & Carbin 2019).

    As `pruning.find_ticket`: `rounds` + 1 trainings, each as `training` says. A run
    that was cut goes on in the round where it stood.

    Attributes:
        sparsity: fraction of kernel weights that are zero in the end.
        rounds: how many times it is pruned.
        rewind_epochs: of the first training, whose weights are gone back to; 0: the
            first weights.
        scope: "global" or "layer".
        pattern: what becomes zero together, as `Prune` takes it.
        floor: with "global", the fraction of every kernel that stays at least, as
            `Prune` takes it.
        exempt: layers that stay dense: "first", "last", or patterns of their names.

    Raises:
        ValueError: a setting is out of its range.
    """

    sparsity: float = field(default=0.9, kw_only=True)
    rounds: int = field(default=5, kw_only=True)
    rewind_epochs: int = field(default=0, kw_only=True)
    scope: str = field(default="global", kw_only=True)
    pattern: str = field(default="element", kw_only=True)
    floor: float | str | None = field(default=AUTO, kw_only=True)
    exempt: tuple[str, ...] = field(default=(), kw_only=True)

    def __post_init__(self):
        super().__post_init__()
        if not 0 < self.sparsity < 1:
            raise ValueError(f"sparsity must be in (0, 1), got {self.sparsity}")
        if self.rounds < 1:
            raise ValueError(f"rounds must be at least 1, got {self.rounds}")
        if not 0 <= self.rewind_epochs < self.training.epochs:
            raise ValueError(
                f"rewind_epochs must be from 0 to {self.training.epochs - 1}, before "
                f"the last of the training's epochs, got {self.rewind_epochs}"
            )
        self._prune()

    @property
    def what(self) -> str:
        early = f"epoch {self.rewind_epochs}" if self.rewind_epochs else "the start"
        return (
            f"{self.source} pruned to {zeros(self.sparsity)} zeros in {self.rounds} "
            f"rounds, each rewound to {early}, trained {self.lesson}"
        )

    def check(self, data: Data, models: Mapping[str, keras.Model]) -> keras.Model:
        model = super().check(data, models)
        if not self._prune().chosen(model):
            raise ValueError(f"stage {self.name!r}: {self.source} has nothing to prune")
        return model

    def callbacks_for(self, job: Job, steps: int) -> list[keras.callbacks.Callback]:
        del steps
        return [pruning.KeepZeros(self.exempt), _Early(self.rewind_epochs, job)]

    def trained(self, model: keras.Model, job: Job) -> tuple[Trained, dict[str, Any]]:
        first = model.get_weights()
        found = fitting.fit(self, model, job)
        early = _read(job) if self.rewind_epochs else first
        prune = self._prune()
        for number in range(1, self.rounds + 1):
            left = (1 - self.sparsity) ** (number / self.rounds)
            masks = prune.cut(model, 1 - left)
            model.set_weights(early)
            for variable, mask in zip(prune.variables, masks, strict=True):
                variable.assign(variable * mask)
            found = fitting.fit(self, model, job, fitting.Part(number))
        return found

    def _prune(self):
        return pruning.Prune(
            pruning.ConstantSparsity(self.sparsity if self.pattern == "element" else 0),
            pattern=self.pattern,
            scope=self.scope,
            floor=self.floor,
            exempt=self.exempt,
        )


class _Early(keras.callbacks.Callback):
    """Writes the weights of the net at the start of an epoch of the first training."""

    def __init__(self, epoch, job):
        super().__init__()
        self.epoch, self.job = epoch, job

    def on_epoch_begin(self, epoch, logs=None):
        if epoch != self.epoch or not epoch or self.job.folder.early.exists():
            return
        net = getattr(self.model, "student", self.model)
        arrays = {str(i): value for i, value in enumerate(net.get_weights())}
        with replacing(self.job.folder.early) as path, path.open("wb") as file:
            np.savez(file, **arrays)


def _read(job):
    try:
        arrays = read_arrays(job.folder.early)
    except (FileNotFoundError, ValueError) as error:
        raise ValueError(
            f"{error}; delete the folder {job.folder.path} to run that stage again"
        ) from error
    return [arrays[str(i)] for i in range(len(arrays))]
