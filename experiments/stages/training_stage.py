"""A stage that trains: what all of them have, whether a teacher teaches or not."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras

from compression.distillation import teacher_features
from compression.graph import all_layers
from experiments.data import Data
from experiments.data.augment import Augment
from experiments.data.guessing import by_luck, one_answer
from experiments.data.labelled import check_labels, check_number, in_words, with_labels
from experiments.data.splits import require_labels
from experiments.data.transfer_set import check_classes, only_classes
from experiments.stages import fitting, writing
from experiments.stages.base import Job, Stage
from experiments.stages.file import File
from experiments.stages.teaching import Teaching
from experiments.training import devices, replicas
from experiments.training.fit import Trained
from experiments.training.settings import Training
from experiments.training.strategies import worker

MIXED = ("mixed_float16", "mixed_bfloat16")


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
        labels: how many of the train images are learned from, or which share of them
            (below 1), each class with its part, chosen by the run's seed; None: all.
            An epoch takes as many steps.
        data: name of the dataset that it trains on, as `experiments.data.load` takes
            it; None: the recipe's. Its model knows other classes than the recipe's
            test images then, so it has no exports to be measured on them.
    """

    training: Training = field()
    teaching: Teaching | None = None
    augment: Augment | None = field(default=None, kw_only=True)
    classes: tuple[int, ...] | None = field(default=None, kw_only=True)
    labels: int | float | None = field(default=None, kw_only=True)
    data: str | None = field(default=None, kw_only=True)

    def __post_init__(self):
        super().__post_init__()
        check_number(self.labels)

    def prepared(self, model: keras.Model) -> keras.Model:
        """The net that is trained, made from the one that the stage starts from."""
        return model

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

    def callbacks_for(self, job: Job, steps: int) -> Sequence[keras.callbacks.Callback]:
        """Likewise, for those that look at the job's data or folder."""
        del job
        return self.callbacks(steps)

    def best_from(self, steps: int) -> int:
        """Epochs (from 0) before this one do not count as best."""
        del steps
        return 0

    @property
    def lesson(self) -> str:
        """What it learns from, in words."""
        taught = f"taught by the {self.teacher}" if self.teacher else "on the labels"
        if self.labels is None:
            return taught
        return f"{taught} {'on' if self.teacher else 'of'} {in_words(self.labels)}"

    def check(self, data: Data, models: Mapping[str, keras.Model]) -> keras.Model:
        started = self.started(data, models.__getitem__)
        self._note_precision(started)
        model = self.prepared(started)
        model = self.finished(model)
        self._check_classes(data, model)
        if self.teaching is not None:
            for loss in self.teaching.losses(data.train.size):
                teacher_features(loss, models[self.teacher], model)
        return model

    def check_labelled(self, data: Data) -> None:
        """Raises ValueError where the labels that the stage learns from are not."""
        if not data.class_names:
            raise ValueError(
                f"stage {self.name!r} learns from labels, and {data.name} has none"
            )

    def check_images(self, data: Data, augment: Augment) -> None:
        self.check_labelled(data)
        if self.classes is not None and self.labels is not None:
            raise ValueError(
                f"stage {self.name!r} has classes and labels: a class that is not "
                "shown has no labels; give one of them"
            )
        if self.classes is not None:
            check_classes(data, self.classes)
        if self.labels is not None:
            check_labels(data, self.labels)
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
            model = self.made(job)
        before = self.before(model, own)
        with replicas.spread(model, job.strategy) as spread:
            trained, about = self.trained(spread, own)
        if job.strategy is not None and not worker(job.strategy).is_chief:
            return {}
        self._tell_of_guesses(trained, job.data.validation.labels)
        return writing.finish(self, self.finished(model), job, trained) | before | about

    def _tell_of_guesses(self, trained, labels):
        """Better known now than when a search has refused it as a teacher."""
        if not self.exports or labels is None or trained.best_score is None:
            return
        chance = one_answer(labels)
        if trained.best_score <= by_luck(chance, len(labels)):
            print(
                f"  {self.name} is no better than guessing: {trained.best_score:.1%} "
                f"of {len(labels):,} validation images are right, one answer for all "
                f"has {chance:.1%}; it may want more epochs, more images, another "
                "learning rate, or to have learned other images before (transfer)",
                flush=True,
            )

    def made(self, job: Job) -> keras.Model:
        """The net that is trained."""
        return self.prepared(self.started(job.data, job.load))

    def before(self, model: keras.Model, job: Job) -> dict[str, Any]:
        """Facts of the net before it is trained."""
        del model, job
        return {}

    def trained(self, model: keras.Model, job: Job) -> tuple[Trained, dict[str, Any]]:
        """Train `model` in place; returns what came of it, and facts for the row."""
        return fitting.fit(self, model, job)

    def shortened(self, epochs: int) -> "TrainingStage":
        shorter = replace(self, training=replace(self.training, epochs=epochs))
        if self.teaching is None or self.teaching.views is None:
            return shorter
        views = min(self.teaching.views, 2)
        return replace(shorter, teaching=replace(self.teaching, views=views))

    def _note_precision(self, model: keras.Model) -> None:
        """A file's layers say themselves in which precision they compute."""
        asked = self.training.precision
        if not (isinstance(self.start, File) and asked in MIXED):
            return
        if all(layer.dtype_policy.name != asked for layer in all_layers(model)):
            warnings.warn(
                f"stage {self.name!r}: {self.source} keeps the precision that it was "
                f"saved in: training.precision={asked} changes nothing",
                stacklevel=2,
            )

    def _check_classes(self, data: Data, model: keras.Model) -> None:
        classes, known = len(data.class_names), model.output_shape[-1]
        if known != classes:
            raise ValueError(
                f"stage {self.name!r}: {self.source} knows {known} classes, "
                f"{data.name} has {classes}: Transfer puts a new head on"
            )
        if self.data is not None and self.exports:
            raise ValueError(
                f"stage {self.name!r} learns other data than the recipe's, on whose "
                "test images its exports would be measured: exports=()"
            )

    def _with_own_images(self, job: Job) -> Job:
        own: dict[str, Any] = {}
        if self.augment is not None:
            own["augment"] = self.augment
        if self.classes is not None:
            own["data"] = only_classes(job.data, self.classes)
        if self.labels is not None:
            own["data"] = with_labels(job.data, self.labels, seed=job.seed)
        return replace(job, **own)
