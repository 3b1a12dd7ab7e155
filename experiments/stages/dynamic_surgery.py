"""A net is pruned, and what turns out to matter is spliced in again."""

from dataclasses import dataclass, field

from compression import pruning
from compression.pruning.saliency import Data
from experiments.stages.prune import Prune, zeros


@dataclass(frozen=True)
class DynamicSurgery(Prune):
    """As `Prune`, but weights go on learning behind their mask (Guo et al. 2016).

    Train it with "sgd", as the paper does: Adam moves all weights behind the mask as
    fast as the others, whatever their gradients, and the masks never settle.

    Attributes:
        every: steps between two masks.
        settled: fraction of the training after which masks stay, at least `until`.

    Raises:
        ValueError: a setting is out of its range.
    """

    every: int = field(default=100, kw_only=True)
    settled: float = field(default=0.8, kw_only=True)

    def __post_init__(self):
        super().__post_init__()
        if not self.until <= self.settled <= 1:
            raise ValueError(
                f"settled must be from until, {self.until}, to 1, got {self.settled}"
            )

    @property
    def how(self) -> str:
        return f"pruned by dynamic surgery to {zeros(self.sparsity)} zeros"

    def pruner(self, steps: int, data: Data) -> pruning.DynamicSurgery:
        del data  # the saliency is the magnitude
        return pruning.DynamicSurgery(
            self.schedule(steps),
            every=self.every,
            until=round(self.settled * self.training.epochs) * steps,
            saliency=self.saliency,
            **self.which,
        )
