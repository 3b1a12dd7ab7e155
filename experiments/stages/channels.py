"""A net loses channels, and what is left of it is trained on."""

from dataclasses import dataclass, field

import keras

from compression import pruning
from compression.pruning.channels.planning import require_settings
from compression.pruning.channels.saliency import OF_DATA
from experiments.data import Data
from experiments.data.pipeline import evaluation_batches
from experiments.stages.base import Job
from experiments.stages.training_stage import TrainingStage

BATCH = 64  # of images that a saliency is shown


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
        images: how many train images a saliency that needs some is shown.
        scope: "global"; "local": the same fraction of each group; "isomorphic": of
            each structure of groups.
        round_to: a group keeps a multiple of so many channels, or all.
        min_channels: that stay in each group at least.
        floor: fraction of each group that stays at least.
        exempt: layers, or patterns of their names, that keep all their channels.

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

    def __post_init__(self):
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
        return f"{self.source} cut to {left} by channels, {lesson}"

    def plan(self, model: keras.Model, data: Data) -> pruning.ChannelPlan:
        """Which channels of a net are kept; train images of `data` may decide."""
        batches = None
        if self.saliency in OF_DATA:
            train = evaluation_batches(data, "train", batch_size=BATCH)
            batches = train.unbatch().take(self.images).batch(BATCH)
            batches = batches.as_numpy_iterator()
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
        plan = self.plan(whole, job.data)
        plan.save(job.folder.plan)
        return pruning.remove_channels(whole, plan)

    def _planned(self, model, settings):
        try:
            return pruning.plan_channels(model, **settings)
        except ValueError as error:
            raise ValueError(f"stage {self.name!r}: {error}") from error

    def _settings(self):
        names = (
            *("macs", "parameters", "bytes", "ram", "latency", "saliency", "scope"),
            *("round_to", "min_channels", "floor", "exempt"),
        )
        return {name: getattr(self, name) for name in names}
