"""A net that is sparse from the first step, whose connections move."""

from dataclasses import dataclass, field

from compression import pruning
from compression.pruning.saliency import Data
from experiments.stages.prune import Prune, label_loss, zeros


@dataclass(frozen=True)
class RigL(Prune):
    """Small weights go, those of large gradient come (Evci et al. 2020).

    The sparsity is that of every layer, from the first step on; `scored_on` train
    images tell the gradients. Scope, pattern and saliency stay as they are by default.

    Attributes:
        until: fraction of the training in which connections move.
        exchanged: fraction of a layer's weights that are, at the start.
        every: steps between two exchanges.

    Raises:
        ValueError: a setting is out of its range.
    """

    until: float = field(default=0.75, kw_only=True)
    exchanged: float = field(default=0.3, kw_only=True)
    every: int = field(default=100, kw_only=True)

    def __post_init__(self):
        for name in ("scope", "pattern", "saliency"):
            default = type(self).__dataclass_fields__[name].default
            if getattr(self, name) != default:
                raise ValueError(
                    f"RigL has no {name} to choose: leave out {getattr(self, name)!r}"
                )
        super().__post_init__()

    @property
    def how(self) -> str:
        return f"trained by RigL with {zeros(self.sparsity)} zeros"

    def pruner(self, steps: int, data: Data) -> pruning.RigL:
        return pruning.RigL(
            self.sparsity,
            data,
            max(1, round(self.until * self.training.epochs)) * steps,
            loss=label_loss,
            fraction=self.exchanged,
            every=self.every,
            targets=self.targets,
            exempt=self.exempt,
        )

    def best_from(self, steps: int) -> int:
        return 0
