"""A net learns while its channels are made small: before the stage that cuts them."""

from dataclasses import dataclass, field

from compression import pruning
from experiments.stages.training_stage import TrainingStage

PENALTIES = {"group_lasso": pruning.GroupLasso, "slimming": pruning.Slimming}


@dataclass(frozen=True)
class SparseChannels(TrainingStage):
    """Coupled channels are shrunk after each update; a `Channels` stage comes next.

    Attributes:
        penalty: "group_lasso", on all that makes, scales and reads a channel; or
            "slimming", on the scales of batch norm, for saliency "batch_norm".
        strength: of it, see `pruning.GroupLasso` and `pruning.Slimming`.
        exempt: layers, or patterns of their names, whose channels are left alone.

    Raises:
        ValueError: a setting is out of its range.
    """

    penalty: str = field(default="group_lasso", kw_only=True)
    strength: float = field(default=1e-3, kw_only=True)
    exempt: tuple[str, ...] = field(default=(), kw_only=True)

    def __post_init__(self):
        super().__post_init__()
        if self.penalty not in PENALTIES:
            raise ValueError(
                f"no penalty called {self.penalty!r}; choose from "
                f"{', '.join(PENALTIES)}"
            )
        self.callbacks(steps=1)  # refuses what there is not

    @property
    def what(self) -> str:
        lesson = f"still {self.lesson}" if self.teacher else f"trained {self.lesson}"
        return f"{self.source} with sparse channels ({self.penalty}), {lesson}"

    def callbacks(self, steps: int) -> list[pruning.SparseChannels]:
        penalty = PENALTIES[self.penalty](self.strength)
        return [pruning.SparseChannels(penalty, exempt=self.exempt)]
