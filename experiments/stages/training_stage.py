"""A stage that trains: what all of them have, whether a teacher teaches or not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras

from compression.distillation import teacher_features
from experiments.data import Data
from experiments.data.augment import Augment
from experiments.data.splits import require_labels
from experiments.data.transfer_set import check_classes, only_classes
from experiments.stages import fitting, writing
from experiments.stages.base import Job, Stage
from experiments.stages.file import File
from experiments.stages.net import Net
from experiments.stages.teaching import Teaching
from experiments.training import devices
from experiments.training.settings import Training


@dataclass(frozen=True)
class TrainingStage(Stage):
    """A net learns from labels, and from a teacher if there is `teaching`.

    A kind of stage is a subclass: its settings, and what holds its weights meanwhile
    (`callbacks`), changes its graph first (`prepared`) or after (`finished`).

    Attributes:
        training: epochs, batches, optimizer, precision.
        teaching: who teaches it and how; None: it learns from the labels alone.
        augment: what its training images go through; None: as in the recipe.
        classes: labels of the only train images that are shown (a transfer set);
            None: all. Validation stays whole, so `Training(keep="last")` is honest
            where some classes are lacking: the best epoch would be chosen by images
            of classes that the net never saw.
    """

    training: Training = field()
    teaching: Teaching | None = None
    augment: Augment | None = field(default=None, kw_only=True)
    classes: tuple[int, ...] | None = field(default=None, kw_only=True)

    def prepared(self, model: keras.Model) -> keras.Model:
        """The net that is trained, made from the one that the stage starts from."""
        return model

    @property
    def trained_from(self) -> Net | File | str:
        """What the net is made from that is trained: `start`, or it with more on it."""
        return self.start

    def trainer(self, model: keras.Model) -> keras.Model:
        """What is fitted to labels: the net itself, or a model around it."""
        return model

    def finished(self, model: keras.Model) -> keras.Model:
        """The model that is written, made from the trained net."""
        return model

    def callbacks(self, steps: int) -> Sequence[keras.callbacks.Callback]:
        """What holds the weights during training; `steps` are those of an epoch."""
        del steps
        return ()

    def best_from(self, steps: int) -> int:
        """Epochs (from 0) before this one do not count as best."""
        del steps
        return 0

    @property
    def lesson(self) -> str:
        """What it learns from, in words."""
        return f"taught by the {self.teacher}" if self.teacher else "on the labels"

    def check(self, data: Data, models: Mapping[str, keras.Model]) -> keras.Model:
        model = self.prepared(super().check(data, models))
        if self.classes is not None:
            check_classes(data, self.classes)
        if self.teaching is not None:
            for loss in self.teaching.losses(data.train.size):
                teacher_features(loss, models[self.teacher], model)
        return model

    def check_images(self, data: Data, augment: Augment) -> None:
        augment = augment if self.augment is None else self.augment
        side = min(data.image_shape[:2])
        if augment.cutout is not None and augment.cutout > side:
            raise ValueError(
                f"stage {self.name!r}: a cutout of {augment.cutout} pixels is larger "
                f"than an image of {data.name}, {side} pixels a side"
            )
        for setting in ("class_weights", "sampling"):
            if getattr(self.training, setting) is not None:
                require_labels(data, f"stage {self.name!r}: {setting}")
        if self.teaching is not None and augment.mixes:
            self.teaching.check_mixing(self.name)

    def run(self, job: Job) -> dict[str, Any]:
        own = self._with_own_images(job)
        with devices.precision(fitting.precision(self, own)):
            model = self.prepared(job.started(self.trained_from))
        trained, about = fitting.fit(self, model, own)
        return writing.finish(self, self.finished(model), job, trained) | about

    def shortened(self, epochs: int) -> "TrainingStage":
        shorter = replace(self, training=replace(self.training, epochs=epochs))
        if self.teaching is None or self.teaching.views is None:
            return shorter
        views = min(self.teaching.views, 2)
        return replace(shorter, teaching=replace(self.teaching, views=views))

    def _with_own_images(self, job: Job) -> Job:
        own: dict[str, Any] = {}
        if self.augment is not None:
            own["augment"] = self.augment
        if self.classes is not None:
            own["data"] = only_classes(job.data, self.classes)
        return replace(job, **own)
