"""A net loses channels, and what is left of it is trained on."""

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from compression import measure, pruning
from compression.pruning.channels.planning import require_settings
from experiments.data import pipeline
from experiments.stages import writing
from experiments.stages.base import Fact, Job
from experiments.stages.training_stage import TrainingStage
from experiments.training.fit import Trained

RECOVERIES = (None, "batch_norm", "reconstruct")
BATCH = 128  # images that batch norm sees together


@dataclass(frozen=True)
class Channels(TrainingStage):
    """Coupled channels are removed at once, then the smaller net learns.

    What was kept of which layer is written beside the model, as `plan.json`.

    Attributes:
        macs: fraction of the multiply-accumulates that may be left; None: any.
        parameters: fraction of the parameters that may be left; None: any.
        saliency: by which channels are ranked: "l1", "l2", "fpgm", "batch_norm" or
            "random".
        scope: "global" or "local": the same fraction of each group.
        round_to: a group keeps a multiple of so many channels, or all.
        min_channels: that stay in each group at least.
        floor: fraction of each group that stays at least.
        exempt: layers, or patterns of their names, that keep all their channels.
        recovery: what repairs the smaller net before it is trained, from train images
            without their labels: "batch_norm" has its statistics estimated again,
            "reconstruct" fits the layers that read fewer channels first; None:
            nothing.
        recovery_images: how many it sees.
        from_scratch: the smaller net forgets its weights: what is its structure worth
            without them (Liu et al., "Rethinking the value of network pruning", 2019,
            https://arxiv.org/abs/1810.05270)?

    Raises:
        ValueError: a setting is out of its range.
    """

    macs: float | None = field(default=None, kw_only=True)
    parameters: float | None = field(default=None, kw_only=True)
    saliency: str = field(default="l2", kw_only=True)
    scope: str = field(default="global", kw_only=True)
    round_to: int = field(default=1, kw_only=True)
    min_channels: int = field(default=1, kw_only=True)
    floor: float = field(default=0.1, kw_only=True)
    exempt: tuple[str, ...] = field(default=(), kw_only=True)
    recovery: str | None = field(default=None, kw_only=True)
    recovery_images: int = field(default=1024, kw_only=True)
    from_scratch: bool = field(default=False, kw_only=True)

    facts = (Fact("cut_top1", "top-1 right after the cut, on validation", ".2%"),)

    def __post_init__(self):
        if self.recovery not in RECOVERIES:
            choices = ", ".join(map(str, RECOVERIES))
            raise ValueError(
                f"no recovery called {self.recovery!r}; choose from {choices}"
            )
        if self.recovery is not None and self.from_scratch:
            raise ValueError(
                f"from_scratch leaves nothing for recovery={self.recovery!r} to repair"
            )
        if self.recovery_images < 1:
            raise ValueError(
                f"recovery_images must be at least 1, got {self.recovery_images}"
            )
        settings = self._settings()
        del settings["exempt"]  # layers of the net: known with it
        require_settings(**settings)
        if self.saliency == "taylor":
            raise ValueError("saliency 'taylor' needs labelled images: not in a stage")

    @property
    def what(self) -> str:
        left = " and ".join(
            f"{value:.0%} of its {name}"
            for name, value in (("MACs", self.macs), ("parameters", self.parameters))
            if value is not None
        )
        lesson = f"still {self.lesson}" if self.teacher else f"tuned {self.lesson}"
        lesson = f"from scratch {self.lesson}" if self.from_scratch else lesson
        return f"{self.source} cut to {left} by channels, {lesson}"

    def plan(self, model: keras.Model) -> pruning.ChannelPlan:
        """Which channels of a net are kept."""
        try:
            return pruning.plan_channels(model, **self._settings())
        except ValueError as error:
            raise ValueError(f"stage {self.name!r}: {error}") from error

    def prepared(self, model: keras.Model) -> keras.Model:
        return pruning.remove_channels(model, self.plan(model))

    def made(self, job: Job) -> keras.Model:
        whole = self.started(job.data, job.load)
        plan = self.plan(whole)
        plan.save(job.folder.plan)
        smaller = pruning.remove_channels(whole, plan)
        if self.from_scratch:
            return keras.models.clone_model(smaller)  # with new initial weights
        if self.recovery is not None:
            self._recover(smaller, whole, plan, job)
        return smaller

    def trained(self, model: keras.Model, job: Job) -> tuple[Trained, dict[str, Any]]:
        batches = list(pipeline.evaluation_batches(job.data, "validation"))
        labels = np.concatenate([labels for _, labels in batches])
        cut_top1 = measure.accuracy(measure.logits(model, batches), labels)
        trained, about = super().trained(model, job)
        return trained, about | {"cut_top1": cut_top1}

    def _recover(self, smaller, whole, plan, job):
        train = pipeline.evaluation_batches(job.data, "train", batch_size=BATCH)
        images = list(writing.first_images(train, self.recovery_images))
        if self.recovery == "reconstruct":
            pruning.reconstruct(smaller, whole, plan, images, seed=job.seed)
        pruning.reestimate_batch_norm(smaller, images)

    def _settings(self):
        return {
            "macs": self.macs,
            "parameters": self.parameters,
            "saliency": self.saliency,
            "scope": self.scope,
            "round_to": self.round_to,
            "min_channels": self.min_channels,
            "floor": self.floor,
            "exempt": self.exempt,
        }
