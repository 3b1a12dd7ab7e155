"""A net learns which of its weights it can do without."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

from compression import pruning
from experiments.data.labelled import check_labels
from experiments.stages import fitting
from experiments.stages.base import Job
from experiments.stages.prune import SPARSITY
from experiments.stages.training_stage import TrainingStage
from experiments.training.fit import Trained

METHODS = {
    "variational_dropout": pruning.variational_dropout,
    "l0": pruning.l0_gates,
}


@dataclass(frozen=True)
class LearnSparsity(TrainingStage):
    """Sparsity is learnt with the weights, by a penalty on what is not zero.

    The last epoch is kept, whatever `training.keep` asks: the best would be one with
    few zeros. What is written is a plain net.

    Attributes:
        method: "variational_dropout" (Molchanov et al. 2017) or "l0" (Louizos et al.
            2018).
        weight: of the penalty, as the method takes it: more is sparser.
        warmup: epochs over which the penalty rises.
        rate: of the noise or the gates, times the learning rate.
        options: others of the method, such as {"threshold": 3.0}.
        exempt: layers that stay dense: "first", "last", or patterns of their names.

    Raises:
        ValueError: there is no such method, or a setting is out of its range.
    """

    method: str = field(default="variational_dropout", kw_only=True)
    weight: float = field(default=1.0, kw_only=True)
    warmup: int = field(default=1, kw_only=True)
    rate: float = field(default=1.0, kw_only=True)
    options: Mapping[str, Any] = field(default_factory=dict, kw_only=True, hash=False)
    exempt: tuple[str, ...] = field(default=(), kw_only=True)

    logs = (SPARSITY,)

    def __post_init__(self):
        super().__post_init__()
        if self.method not in METHODS:
            raise ValueError(
                f"no method called {self.method!r}; choose from {', '.join(METHODS)}"
            )
        if self.rate <= 0:
            raise ValueError(f"rate must be positive, got {self.rate}")
        self.callbacks(steps=1)

    @property
    def what(self) -> str:
        by = self.method.replace("_", " ")
        return f"{self.source} with zeros learnt by {by}, {self.lesson}"

    def prepared(self, model: keras.Model) -> keras.Model:
        return self._learning(model, 1)  # what it is made of; `made` knows the data

    def made(self, job: Job) -> keras.Model:
        # Few labels are shown again and again: `train.size` counts each time.
        data, labels = job.data, self.labels
        examples = data.train.size if labels is None else check_labels(data, labels)
        return self._learning(self.started(job.data, job.load), examples)

    def finished(self, model: keras.Model) -> keras.Model:
        return pruning.plain_net(model)

    def callbacks(self, steps: int) -> list[pruning.LearntSparsity]:
        return [pruning.LearntSparsity(self.warmup)]

    def best_from(self, steps: int) -> int:
        return self.training.epochs - 1

    def trained(self, model: keras.Model, job: Job) -> tuple[Trained, dict[str, Any]]:
        learnt = {id(v) for v in model.trainable_variables if v.name in LEARNT}
        part = fitting.Part(rate=lambda v: self.rate if id(v) in learnt else 1.0)
        return fitting.fit(self, model, job, part)

    def _learning(self, model, examples):
        options = {"weight": self.weight, "exempt": self.exempt, **self.options}
        try:
            return METHODS[self.method](model, examples=examples, **options)
        except (TypeError, ValueError) as error:
            raise ValueError(f"stage {self.name!r}: {error}") from error


LEARNT = ("log_variance", "log_alpha")  # of the noise, of the gates
