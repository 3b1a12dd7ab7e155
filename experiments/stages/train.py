"""A net is trained."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import keras

from architectures.googlenet import without_heads
from compression import pruning
from experiments.data import Data
from experiments.stages.net import Net
from experiments.stages.training_stage import TrainingStage
from experiments.training.auxiliary import AuxiliaryHeads


@dataclass(frozen=True)
class Train(TrainingStage):
    """A net learns from the labels, or from a teacher if it has `teaching`.

    Attributes:
        auxiliary_weight: of the loss of each auxiliary head, for nets that can be built
            with such heads (GoogLeNet: 0.3). The heads learn the labels beside the
            net, and the model that the stage writes has none. 0: no heads.
        keep_zeros: whether the zeros of its kernels stay, those of a pruned net.

    Raises:
        ValueError: heads are wanted on what is not a net to build, or beside a teacher;
            or their weight is negative.
    """

    auxiliary_weight: float = field(default=0.0, kw_only=True)
    keep_zeros: bool = field(default=False, kw_only=True)

    def __post_init__(self):
        super().__post_init__()
        if self.auxiliary_weight < 0:
            raise ValueError(
                f"auxiliary_weight must be 0 or more, got {self.auxiliary_weight}"
            )
        if self.auxiliary_weight and not isinstance(self.start, Net):
            raise ValueError(
                f"{self.name}: auxiliary heads are built with a net: start from a Net, "
                f"not from {self.source}"
            )
        if self.auxiliary_weight and self.teaching is not None:
            raise ValueError(
                f"{self.name}: auxiliary heads learn from labels, not from a teacher: "
                "leave out teaching or auxiliary_weight"
            )

    @property
    def what(self) -> str:
        fresh = isinstance(self.start, Net) and self.start.weights is None
        published = isinstance(self.start, Net) and not fresh
        how = "from published weights, tuned" if published else "tuned"
        heads = " with auxiliary heads" if self.auxiliary_weight else ""
        zeros = ", its zeros kept" if self.keep_zeros else ""
        how = "trained" if fresh else how
        return f"{self.source} {how} {self.lesson}{heads}{zeros}"

    def started(self, data: Data, load: Callable[[str], keras.Model]) -> keras.Model:
        if not self.auxiliary_weight:
            return super().started(data, load)
        options = {**self.start.options, "auxiliary": True}
        try:
            return replace(self.start, options=options).built(data)
        except ValueError as error:
            raise ValueError(
                f"stage {self.name!r} cannot have auxiliary heads ({error}): "
                "auxiliary_weight=0"
            ) from error

    def callbacks(self, steps: int) -> list[keras.callbacks.Callback]:
        return [pruning.KeepZeros()] if self.keep_zeros else []

    def trainer(self, model: keras.Model) -> keras.Model:
        if not self.auxiliary_weight:
            return model
        return AuxiliaryHeads(model, self.auxiliary_weight, name=self.name)

    def finished(self, model: keras.Model) -> keras.Model:
        return without_heads(model) if self.auxiliary_weight else model

    def check(self, data: Data, models: Mapping[str, keras.Model]) -> keras.Model:
        if self.auxiliary_weight:  # can such heads be built?
            self.trainer(self.started(data, models.__getitem__))
        return super().check(data, models)
