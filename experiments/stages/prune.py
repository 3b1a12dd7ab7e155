"""Weights are pruned while the net goes on learning."""

from dataclasses import dataclass, field

from compression import pruning
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

    Raises:
        ValueError: a setting is out of its range.
    """

    sparsity: float = field(default=0.8, kw_only=True)
    until: float = field(default=0.6, kw_only=True)
    scope: str = field(default="global", kw_only=True)

    logs = (Logged("sparsity", "zeros, % of the pruned weights", factor=100),)

    def __post_init__(self):
        if not 0 < self.until <= 1:
            raise ValueError(f"until must be in (0, 1], got {self.until}")
        self.callbacks(steps=1)  # refuses a sparsity or scope that there is not

    @property
    def what(self) -> str:
        lesson = f"still {self.lesson}" if self.teacher else f"trained {self.lesson}"
        return f"{self.source} pruned to {self.sparsity:.0%} zeros, {lesson}"

    def callbacks(self, steps: int) -> list[pruning.Prune]:
        schedule = pruning.PolynomialDecay(
            self.sparsity,
            begin=0,
            end=self._end(steps),
            frequency=max(1, steps // 4),
        )
        return [pruning.Prune(schedule, scope=self.scope)]

    def best_from(self, steps: int) -> int:
        return -(-self._end(steps) // steps)

    def _end(self, steps):
        """The step from which the final sparsity holds."""
        epochs = self.training.epochs
        # The last update of the masks comes at the latest with the last epoch.
        end = max(1, round(self.until * epochs)) * steps
        return min(end, (epochs - 1) * steps) or 1
