"""A net learns from images without labels, before it learns from labels."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import keras

from experiments.data import Data, pipeline
from experiments.data.augment import Augment
from experiments.stages.base import Export, Job
from experiments.stages.heads import backbone
from experiments.stages.images import require_images
from experiments.stages.tasks import Task
from experiments.stages.training_stage import TrainingStage
from experiments.training import fit as training
from experiments.training import replicas
from experiments.training.fit import Trained

OTHER_VIEW = 1_000_003  # added to the seed of an image's second view


@dataclass(frozen=True)
class Pretrain(TrainingStage):
    """The backbone of a net learns a task that images alone can set.

    The task's head is thrown away. What is written has the net's own head as it was
    at the start: go on with `Train`, or with `Transfer`, which puts a new one on. No
    label is looked at, so it is not measured on test images either.

    Attributes:
        task: what is learned: `Rotation()`, `SimCLR()` or `Autoencoder()`.
        head: name of the layer with which the net's own head begins; None: the last.

    Raises:
        ValueError: there is a teacher, or `classes` or `labels`, or exports, which
            nothing here would need; or a setting that needs labels or a top-1.
    """

    task: Task = field(kw_only=True)
    head: str | None = field(default=None, kw_only=True)
    exports: tuple[Export, ...] = field(default=(), kw_only=True)

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.task, Task):
            raise ValueError(
                f"task must be one of experiments.stages.tasks, got {self.task!r}"
            )
        unused = [n for n in ("teaching", "classes", "labels") if getattr(self, n)]
        asked = self.training
        unused += [n for n in ("class_weights", "sampling") if getattr(asked, n)]
        if unused:
            raise ValueError(
                f"stage {self.name!r} learns from images alone: {unused[0]}=None"
            )
        if asked.schedule == "plateau" and not self.task.accuracy:
            raise ValueError(
                f"stage {self.name!r} has no top-1 whose plateau could be seen: choose "
                "another schedule"
            )
        if self.exports:
            raise ValueError(
                f"stage {self.name!r} has not learned to classify: exports=()"
            )

    @property
    def what(self) -> str:
        return f"{self.source} learned {self.task.what}, without labels"

    def check(self, data: Data, models: Mapping[str, keras.Model]) -> keras.Model:
        self.task.check(data.image_shape)
        model = self.started(data, models.__getitem__)
        require_images(model, data, f"stage {self.name!r}: {self.source}")
        self.task.net(backbone(model, self.head))
        return model

    def check_labelled(self, data: Data) -> None:
        """None are needed."""

    def check_images(self, data: Data, augment: Augment) -> None:
        super().check_images(data, augment)
        if (self.augment or augment).mixes:
            raise ValueError(
                f"stage {self.name!r} has no labels that mixup and cutmix could mix: "
                "give it an augment of its own"
            )

    def started(self, data: Data, load: Callable[[str], keras.Model]) -> keras.Model:
        if not data.class_names:  # for a head that nothing is asked of
            data = replace(data, class_names=("one", "other"))
        return super().started(data, load)

    def run(self, job: Job) -> dict[str, Any]:
        about = super().run(job)
        # How well the task is learned, and that is no top-1 of any row.
        score = {"task_score": about.pop("validation_top1")} if about else {}
        return about | score

    def trained(self, model: keras.Model, job: Job) -> tuple[Trained, dict[str, Any]]:
        def batches(first_epoch):
            return _train(job, self, first_epoch)

        with job.scope():
            done = training.fit(
                self.task.net(backbone(model, self.head)),
                batches,
                _validation(job, self),
                self.training,
                loss=self.task.loss(),
                accuracy=self.task.accuracy,
                title=self.name,
                checkpoint=job.folder.checkpoint(),
            )
        return done, {}


def _seeds(job, task):
    return [job.seed + OTHER_VIEW * view for view in range(task.views)]


def _train(job, stage, first_epoch):
    """Streams of the same images in the same order, each in views of its own."""
    batch_size = stage.training.batch_size
    streams = [
        pipeline.training_batches(
            job.data,
            batch_size=batch_size,
            seed=job.seed,
            augment=job.augment,
            first_epoch=first_epoch,
            view_seed=seed,
            part=replicas.part_of(min(batch_size, job.data.train.size)),
        )
        for seed in _seeds(job, stage.task)
    ]
    asked = _asked(stage.task, [stream.dataset for stream in streams])
    return pipeline.Batches(asked, streams[0].steps_per_epoch)


def _validation(job, stage):
    """The validation images, once; for a task of several views in fixed ones."""
    if stage.task.views == 1:
        streams = [pipeline.evaluation_batches(job.data, "validation")]
    else:
        held_out = replace(job.data, train=job.data.validation)
        streams = [
            pipeline.view_batches(
                held_out,
                view=0,
                seed=seed,
                augment=job.augment,
                batch_size=stage.training.batch_size,
            ).map(lambda images: (images, 0))
            for seed in _seeds(job, stage.task)
        ]
    return _asked(stage.task, streams)


def _asked(task, streams):
    import tensorflow as tf

    zipped = tf.data.Dataset.zip(tuple(streams))
    asked = zipped.map(lambda *views: task.batch(*(images for images, _ in views)))
    return asked.prefetch(tf.data.AUTOTUNE)
