"""A net loses channels, and what is left of it is trained on."""

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from compression import measure, pruning
from compression.copies import fresh
from compression.pruning.channels.planning import require_settings
from compression.pruning.channels.saliency import OF_DATA
from experiments.data import Data
from experiments.data.pipeline import evaluation_batches, first_batches
from experiments.stages import writing
from experiments.stages.base import Fact, Job
from experiments.stages.training_stage import TrainingStage

RECOVERIES = (None, "batch_norm", "reconstruct")
BATCH = 128  # of images that a saliency or batch norm sees together


@dataclass(frozen=True)
class Channels(TrainingStage):
    """Coupled channels are removed at once, then the smaller net learns.

    What was kept of which layer is written beside the model, as `plan.json`.

    Attributes:
        macs: fraction of the multiply-accumulates that may be left; None: any.
        parameters: fraction of the parameters that may be left; None: any.
        bytes: likewise of the float32 LiteRT file.
        ram: likewise of the activations that are held at once.
        latency: likewise of the time of an image, measured with LiteRT where the
            stage runs: another machine may cut otherwise.
        saliency: by which channels are ranked: "l1", "l2", "fpgm", "batch_norm",
            "hrank", "wanda", "taylor", "fisher" or "random".
        images: how many train images a saliency or a recovery that needs some is shown.
        scope: "global"; "local": the same fraction of each group; "isomorphic": of
            each structure of groups.
        round_to: a group keeps a multiple of so many channels, or all.
        min_channels: that stay in each group at least.
        floor: fraction of each group that stays at least.
        exempt: layers, or patterns of their names, that keep all their channels.
        recovery: what repairs the smaller net before it is trained, from train images
            without their labels: "batch_norm" has its statistics estimated again,
            "reconstruct" fits the layers that read fewer channels first; None:
            nothing.
        from_scratch: the smaller net forgets its weights: what is its structure worth
            without them (Liu et al., "Rethinking the value of network pruning", 2019,
            https://arxiv.org/abs/1810.05270)?

    Raises:
        ValueError: a setting is out of its range.
    """

    macs: float | None = field(default=None, kw_only=True)
    parameters: float | None = field(default=None, kw_only=True)
    bytes: float | None = field(default=None, kw_only=True)
    ram: float | None = field(default=None, kw_only=True)
    latency: float | None = field(default=None, kw_only=True)
    saliency: str = field(default="l2", kw_only=True)
    images: int = field(default=512, kw_only=True)
    scope: str = field(default="global", kw_only=True)
    round_to: int = field(default=1, kw_only=True)
    min_channels: int = field(default=1, kw_only=True)
    floor: float = field(default=0.1, kw_only=True)
    exempt: tuple[str, ...] = field(default=(), kw_only=True)
    recovery: str | None = field(default=None, kw_only=True)
    from_scratch: bool = field(default=False, kw_only=True)

    facts = (Fact("cut_top1", "top-1 right after the cut, on validation", ".2%"),)

    def __post_init__(self):
        super().__post_init__()
        if self.recovery not in RECOVERIES:
            choices = ", ".join(map(str, RECOVERIES))
            raise ValueError(
                f"no recovery called {self.recovery!r}; choose from {choices}"
            )
        if self.recovery is not None and self.from_scratch:
            raise ValueError(
                f"from_scratch leaves nothing for recovery={self.recovery!r} to repair"
            )
        settings = self._settings()
        del settings["exempt"]  # layers of the net: known with it
        require_settings(**settings)
        if self.images < 1:
            raise ValueError(f"images must be 1 or more, got {self.images}")

    @property
    def what(self) -> str:
        left = " and ".join(
            f"{value:.0%} of its {name}"
            for name, value in (
                ("MACs", self.macs),
                ("parameters", self.parameters),
                ("bytes", self.bytes),
                ("RAM", self.ram),
                ("time", self.latency),
            )
            if value is not None
        )
        lesson = f"still {self.lesson}" if self.teacher else f"tuned {self.lesson}"
        lesson = f"from scratch {self.lesson}" if self.from_scratch else lesson
        return f"{self.source} cut to {left} by channels, {lesson}"

    def plan(self, model: keras.Model, data: Data) -> pruning.ChannelPlan:
        """Which channels of a net are kept; train images of `data` may decide."""
        batches = None
        if self.saliency in OF_DATA:
            batches = first_batches(data, "train", self.images, batch_size=BATCH)
        return self._planned(model, self._settings() | {"data": batches})

    def prepared(self, model: keras.Model) -> keras.Model:
        """About as small a net: what nothing must be shown, timed or exported for."""
        settings = self._settings()
        if self.saliency in OF_DATA:
            settings["saliency"] = "l2"
        for measured, counted in (("latency", "macs"), ("bytes", "parameters")):
            if (left := settings.pop(measured)) is not None:
                settings[counted] = min(left, settings[counted] or 1)
        return pruning.remove_channels(model, self._planned(model, settings))

    def made(self, job: Job) -> keras.Model:
        whole = self.started(job.data, job.load)
        if job.folder.plan.is_file():  # interrupted: times would be others now
            plan = pruning.load_plan(job.folder.plan)
        else:
            plan = self.plan(whole, job.data)
            plan.save(job.folder.plan)
        smaller = pruning.remove_channels(whole, plan)
        if self.from_scratch:
            return fresh(smaller)
        if self.recovery is not None:
            self._recover(smaller, whole, plan, job)
        return smaller

    def before(self, model: keras.Model, job: Job) -> dict[str, Any]:
        batches = list(evaluation_batches(job.data, "validation"))
        labels = np.concatenate([labels for _, labels in batches])
        cut_top1 = measure.accuracy(measure.logits(model, batches), labels)
        return {"cut_top1": cut_top1}

    def _recover(self, smaller, whole, plan, job):
        images = writing.train_images(job.data, self.images, batch_size=BATCH)
        if self.recovery == "reconstruct":
            pruning.reconstruct(smaller, whole, plan, images, seed=job.seed)
        pruning.reestimate_batch_norm(smaller, images)

    def _planned(self, model, settings):
        with self.named_in_errors():
            return pruning.plan_channels(model, **settings)

    def _settings(self):
        names = (
            *("macs", "parameters", "bytes", "ram", "latency", "saliency", "scope"),
            *("round_to", "min_channels", "floor", "exempt"),
        )
        return {name: getattr(self, name) for name in names}
