"""Weights come to share a few values while the net goes on learning."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

from compression import measure, quantization
from experiments.data import Data
from experiments.stages.base import Fact, Job, Logged
from experiments.stages.training_stage import TrainingStage
from experiments.training.fit import Trained

WHOSE = {"layer": "a layer", "channel": "a channel", "global": "all layers"}


@dataclass(frozen=True)
class Cluster(TrainingStage):
    """Each kernel gets a few values, by k-means, and these go on learning.

    Attributes:
        clusters: the most values of a kernel, 2 to 256; a zero that stays is one.
        begin: fraction of the training after which weights are shared; the net learns
            freely before. 0: from the first step.
        scope: who shares values: "layer", "channel" or "global".
        initialisation: of k-means: "kmeans++", "linear" or "density".
        preserve_zeros: whether zeros, such as a pruned net has, stay.
        rate: what a bit of a weight's code costs when its value is chosen, in mean
            squares of a weight, see `quantization.Cluster`; 0: nothing.
        reassign: whether a weight goes on learning for itself, and to another value
            where that becomes nearer; else those that share one do so to the end.
        targets: other numbers of clusters, by patterns of layers' names.
        exempt: layers that are left alone: "first", "last", or patterns of names.

    Raises:
        ValueError: a setting is out of its range.
    """

    clusters: int = field(default=16, kw_only=True)
    begin: float = field(default=0.0, kw_only=True)
    scope: str = field(default="layer", kw_only=True)
    initialisation: str = field(default="kmeans++", kw_only=True)
    preserve_zeros: bool = field(default=True, kw_only=True)
    rate: float = field(default=0.0, kw_only=True)
    reassign: bool = field(default=False, kw_only=True)
    targets: Mapping[str, int] = field(default_factory=dict, kw_only=True, hash=False)
    exempt: tuple[str, ...] = field(default=(), kw_only=True)

    logs = (Logged("code_bits", "bits of a shared weight, by its value's frequency"),)
    facts = (
        Fact("most_values", "values of the kernel that has most"),
        Fact("value_bits", "bits of a weight in kernels, by its value's frequency"),
    )

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.begin < 1:
            raise ValueError(f"begin must be in [0, 1), got {self.begin}")
        self.callbacks(steps=1)  # refuses what there is not

    @property
    def what(self) -> str:
        lesson = f"still {self.lesson}" if self.teacher else f"trained {self.lesson}"
        return (
            f"{self.source} with {self.clusters} values for the weights of "
            f"{WHOSE[self.scope]}, {lesson}"
        )

    def check(self, data: Data, models: Mapping[str, keras.Model]) -> keras.Model:
        model = super().check(data, models)
        [cluster] = self.callbacks(steps=1)
        with self.named_in_errors():
            chosen = cluster.chosen(model)
        if not chosen:
            raise ValueError(f"stage {self.name!r}: {self.source} has nothing to share")
        return model

    def callbacks(self, steps: int) -> list[quantization.Cluster]:
        return [
            quantization.Cluster(
                self.clusters,
                begin=self.best_from(steps) * steps,
                scope=self.scope,
                initialisation=self.initialisation,
                preserve_zeros=self.preserve_zeros,
                rate=self.rate,
                reassign=self.reassign,
                targets=self.targets,
                exempt=self.exempt,
            )
        ]

    def best_from(self, steps: int) -> int:
        """With the epoch in which weights are shared."""
        del steps
        return min(round(self.begin * self.training.epochs), self.training.epochs - 1)

    def trained(self, model: keras.Model, job: Job) -> tuple[Trained, dict[str, Any]]:
        trained, about = super().trained(model, job)
        return trained, about | value_facts(model)


def value_facts(model: keras.Model) -> dict[str, Any]:
    """What a row says of a net whose weights share values."""
    kernels = measure.kernel_values(model).values()
    bits = sum(kernel.size * kernel.bits for kernel in kernels)
    return {
        "most_values": max(kernel.values for kernel in kernels),
        "value_bits": round(bits / sum(kernel.size for kernel in kernels), 4),
    }
