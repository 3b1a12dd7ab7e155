"""Weights are pruned while the net goes on learning."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import keras

from compression import pruning
from experiments.data import Data
from experiments.stages.base import Logged
from experiments.stages.training_stage import TrainingStage


@dataclass(frozen=True)
class Prune(TrainingStage):
    """Small weights become zero while training goes on, more and more of them.

    Attributes:
        sparsity: fraction of kernel weights that are zero in the end.
        until: fraction of the training after which that sparsity is reached; the
            rest trains at it.
        scope: "global" or "layer".
        pattern: what becomes zero together: "element", "2:4" (n:m, at a sparsity of
            1 - n/m), "block(1, 4)", "kernel", see `pruning.Prune`.
        saliency: which go first: "magnitude", "random" or "movement".
        exempt: layers that stay dense: "first", "last", or patterns of their names.

    Raises:
        ValueError: a setting is out of its range.
    """

    sparsity: float = field(default=0.8, kw_only=True)
    until: float = field(default=0.6, kw_only=True)
    scope: str = field(default="global", kw_only=True)
    pattern: str = field(default="element", kw_only=True)
    saliency: str = field(default="magnitude", kw_only=True)
    exempt: tuple[str, ...] = field(default=(), kw_only=True)

    logs = (Logged("sparsity", "zeros, % of the pruned weights", factor=100),)

    def __post_init__(self):
        if not 0 < self.until <= 1:
            raise ValueError(f"until must be in (0, 1], got {self.until}")
        self.callbacks(steps=1)  # refuses what there is not

    @property
    def what(self) -> str:
        lesson = f"still {self.lesson}" if self.teacher else f"trained {self.lesson}"
        pattern = "" if self.pattern == "element" else f" in a pattern, {self.pattern}"
        return f"{self.source} pruned to {self.sparsity:.0%} zeros{pattern}, {lesson}"

    def check(self, data: Data, models: Mapping[str, keras.Model]) -> keras.Model:
        model = super().check(data, models)
        [prune] = self.callbacks(steps=1)
        if not prune.chosen(model):
            raise ValueError(f"stage {self.name!r}: {self.source} has nothing to prune")
        return model

    def callbacks(self, steps: int) -> list[pruning.Prune]:
        schedule = pruning.PolynomialDecay(
            self.sparsity,
            begin=0,
            end=self._end(steps),
            frequency=max(1, steps // 4),
        )
        return [
            pruning.Prune(
                schedule,
                pattern=self.pattern,
                scope=self.scope,
                saliency=self.saliency,
                exempt=self.exempt,
            )
        ]

    def best_from(self, steps: int) -> int:
        return -(-self._end(steps) // steps)

    def _end(self, steps):
        """The step from which the final sparsity holds."""
        epochs = self.training.epochs
        # The last update of the masks comes at the latest with the last epoch.
        end = max(1, round(self.until * epochs)) * steps
        return min(end, (epochs - 1) * steps) or 1
