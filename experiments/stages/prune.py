"""Weights are pruned while the net goes on learning."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import keras

from compression import pruning
from compression.distillation.losses.logit_loss import LOGITS
from compression.pruning.masks import AUTO
from compression.pruning.saliency import WITH_DATA, Data
from experiments.data import Data as Dataset
from experiments.data import pipeline
from experiments.stages.base import Job, Logged
from experiments.stages.training_stage import TrainingStage
from experiments.training.optimizers import LabelLoss

SPARSITY = Logged("sparsity", "zeros, % of the pruned weights", factor=100)


@dataclass(frozen=True)
class Prune(TrainingStage):
    """Weights of little saliency become zero while training goes on, more and more.

    Attributes:
        sparsity: fraction of kernel weights that are zero in the end.
        until: fraction of the training after which that sparsity is reached; the
            rest trains at it. 0: at once, before the first step.
        scope: "global" or "layer".
        pattern: what becomes zero together: "element", "2:4" (n:m, at a sparsity of
            1 - n/m), "block(1, 4)", "kernel", see `pruning.Prune`.
        saliency: which go first: "magnitude", "random" or "movement", which is gathered
            in training, so that nothing becomes zero in the first epoch, or quarter
            of `until`; or by train images, "taylor", "snip", "grasp", "fisher" or
            "wanda".
        scored_on: how many train images these look at, each time that masks change.
        floor: with "global", the fraction of every kernel that stays at least, or
            "auto", see `pruning.magnitude_masks`; None: it may lose all.
        targets: final sparsity of single layers by patterns of their names.
        exempt: layers that stay dense: "first", "last", or patterns of their names.

    Raises:
        ValueError: a setting is out of its range.
    """

    sparsity: float = field(default=0.8, kw_only=True)
    until: float = field(default=0.6, kw_only=True)
    scope: str = field(default="global", kw_only=True)
    pattern: str = field(default="element", kw_only=True)
    saliency: str = field(default="magnitude", kw_only=True)
    scored_on: int = field(default=512, kw_only=True)
    targets: Mapping[str, float] = field(default_factory=dict, kw_only=True, hash=False)
    floor: float | str | None = field(default=AUTO, kw_only=True)
    exempt: tuple[str, ...] = field(default=(), kw_only=True)

    logs = (SPARSITY,)

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.until <= 1:
            raise ValueError(f"until must be in [0, 1], got {self.until}")
        if self.scored_on < 1:
            raise ValueError(f"scored_on must be at least 1, got {self.scored_on}")
        if self.saliency == "movement" and self.until == 0:
            raise ValueError(
                'saliency "movement" is gathered in training: until must be above 0'
            )
        self.callbacks(steps=1)  # refuses what there is not

    @property
    def what(self) -> str:
        lesson = f"still {self.lesson}" if self.teacher else f"trained {self.lesson}"
        pattern = "" if self.pattern == "element" else f" in a pattern, {self.pattern}"
        return f"{self.source} {self.how}{pattern}, {lesson}"

    @property
    def how(self) -> str:
        """What becomes of it, in words."""
        return f"pruned to {zeros(self.sparsity)} zeros"

    def check(self, data: Dataset, models: Mapping[str, keras.Model]) -> keras.Model:
        model = super().check(data, models)
        [prune] = self.callbacks(steps=1)
        if not prune.chosen(model):
            raise ValueError(f"stage {self.name!r}: {self.source} has nothing to prune")
        return model

    def pruner(self, steps: int, data: Data) -> pruning.Prune:
        """The callback, `steps` being those of an epoch; `data` are for a saliency."""
        saliency = self.saliency
        if saliency == "wanda":
            saliency = pruning.Wanda(data)
        elif saliency in WITH_DATA:
            saliency = getattr(pruning, WITH_DATA[saliency])(data, label_loss)
        return pruning.Prune(self.schedule(steps), saliency=saliency, **self.which)

    def callbacks(self, steps: int) -> list[pruning.Prune]:
        return [self.pruner(steps, data=())]

    def callbacks_for(self, job: Job, steps: int) -> Sequence[pruning.Prune]:
        return [self.pruner(steps, data=lambda: self._batches(job))]

    @property
    def which(self) -> dict:
        """Which weights go, as `pruning.Prune` takes it."""
        return {
            "pattern": self.pattern,
            "scope": self.scope,
            "floor": self.floor,
            "targets": self.targets,
            "exempt": self.exempt,
        }

    def schedule(
        self, steps: int
    ) -> pruning.PolynomialDecay | pruning.ConstantSparsity:
        """The sparsity by the step."""
        end = self._end(steps)
        if end == 0:
            return pruning.ConstantSparsity(self.sparsity)
        gathered = self.saliency == "movement"
        return pruning.PolynomialDecay(
            self.sparsity,
            begin=max(end // 4, min(steps, end // 2)) if gathered else 0,
            end=end,
            frequency=max(1, steps // 4),
        )

    def best_from(self, steps: int) -> int:
        return -(-self._end(steps) // steps)

    def _end(self, steps):
        """The step from which the final sparsity holds."""
        epochs = self.training.epochs
        if self.until == 0:
            return 0
        if epochs == 1 and steps == 1 and self.saliency != "movement":
            return 0  # a schedule has no step to rise in
        if epochs == 1:
            return max(1, min(round(self.until * steps), steps - 1))
        # The last update of the masks comes at the latest with the last epoch.
        return min(max(1, round(self.until * epochs)), epochs - 1) * steps

    def _batches(self, job):
        size = self.training.batch_size
        batches = pipeline.training_batches(job.data, batch_size=size, seed=job.seed)
        return islice(batches.dataset, -(-self.scored_on // size))


def zeros(sparsity: float) -> str:
    """A fraction in words: "80%", "99.5%"."""
    return f"{round(100 * sparsity, 2):g}%"


def label_loss(labels, outputs):
    """Also of a distiller's outputs."""
    if isinstance(outputs, dict):
        outputs = outputs[LOGITS]
    return LabelLoss()(labels, outputs)
