"""A net loses channels, and what is left of it is trained on."""

from dataclasses import dataclass, field

import keras

from compression import pruning
from compression.pruning.channels.planning import require_settings
from experiments.stages.base import Job
from experiments.stages.training_stage import TrainingStage


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

    def __post_init__(self):
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
        return pruning.remove_channels(whole, plan)

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
