"""Fits the net of a training stage to labels, or to labels and a teacher."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras

from compression.answers import agreement
from compression.distillation import Distiller, teacher_outputs
from compression.distillation.fused import fused
from compression.distillation.teacher import TEACHER_LOGITS
from compression.graph import all_layers
from experiments.data import pipeline
from experiments.data.splits import require_labels
from experiments.files import write_json
from experiments.stages.application import Application
from experiments.stages.base import Job
from experiments.stages.net import Net
from experiments.stages.teacher_cache import cached_teacher, shared_outputs
from experiments.training import class_weights, replicas
from experiments.training import fit as training
from experiments.training.optimizers import LabelLoss
from experiments.training.precision import faster_precision
from experiments.training.strategies import chief_first

if TYPE_CHECKING:
    from experiments.stages.training_stage import TrainingStage

WEIGHT_FACTOR = "weight_factor"  # in what a ChooseWeight stage has found
HALF = ("bfloat16", "float16")
SAME_ANSWERS = 0.98  # of a teacher in half the digits


@dataclass(frozen=True)
class Part:
    """One of several trainings of a stage, each of which begins where one ended.

    Attributes:
        number: from 0; each has its own checkpoint.
        epochs_before: of the parts before it; batches go on from there.
        rate: function of a variable that gives the factor of its learning rate.
    """

    number: int = 0
    epochs_before: int = 0
    rate: Callable[[keras.Variable], float] | None = None


def fit(
    stage: "TrainingStage", model: keras.Model, job: Job, part: Part | None = None
) -> tuple[training.Trained, dict[str, Any]]:
    """Train `model` in place; returns what came of it, and facts for the row."""
    part = part or Part()
    if stage.teaching is None:
        loss = label_loss(stage, job)
        with job.scope():
            return _fit(stage, stage.trainer(model), job, part, loss=loss), {}
    return _distill(stage, model, job, part)


def label_loss(stage: "TrainingStage", job: Job) -> LabelLoss:
    """The loss of labels where nobody teaches."""
    return LabelLoss(stage.training.label_smoothing, _class_weights(stage, job))


def precision(stage: "TrainingStage", job: Job) -> str:
    """In which precision the stage trains: once measured, it stays what it was.

    A model that was written before has its precision, so that nothing is measured.
    """
    asked = stage.training.precision
    if asked != "measure":
        return asked
    if job.strategy is not None:
        raise ValueError(
            f"stage {stage.name!r}: which precision is faster is measured on one "
            "device: without --strategy, or say which in training.precision"
        )
    if not isinstance(stage.start, Net | Application):
        return "float32"
    if not job.folder.precision.is_file():
        found = faster_precision(
            lambda: stage.trainer(stage.prepared(stage.started(job.data, job.load))),
            next(iter(_batches(stage, job).dataset)),
        )
        write_json(job.folder.precision, found)
        keras.utils.set_random_seed(job.seed)  # as if nothing had been built
    found = job.folder.read_precision()
    print(f"  {stage.name} trains in {found}, measured as the faster", flush=True)
    return found


def _distill(stage, student, job, part):
    teaching = stage.teaching
    # What is kept of a teacher was computed on one device.
    with job.scope() if teaching.views is None else nullcontext():
        teacher = job.load(teaching.teacher)
    about = {}
    if teaching.weighed_by is not None:
        about = {WEIGHT_FACTOR: job.facts_of(teaching.weighed_by)[WEIGHT_FACTOR]}
        teaching = teaching.weighed(about[WEIGHT_FACTOR])
    view_seed = job.seed if teaching.view_seed is None else teaching.view_seed
    with job.scope():
        distiller = Distiller(
            student,
            teacher=teacher,
            losses=teaching.losses(job.data.train.size),
            label_weight=teaching.label_weight,
            label_loss=_label_loss_beside_a_teacher(stage, job),
            teacher_dtype=_teacher_dtype(stage, teacher, student, job),
            name=stage.name,
        )
    train, validation = {"view_seed": view_seed, "with_index": True}, {}
    if teaching.views is not None:
        with chief_first(job.strategy):
            cached = cached_teacher(
                shared_outputs(stage, teacher, student, job),
                job.data,
                views=teaching.views,
                seed=view_seed,
                augment=job.augment,
                root=job.cache,
            )
        about["teacher_cache"] = cached.about
        keys = distiller.teacher_keys
        train["teacher_outputs"] = {key: cached.train.outputs[key] for key in keys}
        validation["teacher_outputs"] = {
            key: cached.validation.outputs[key][0] for key in keys
        }
    with job.scope():
        return _fit(stage, distiller, job, part, train, validation), about


def _teacher_dtype(stage, teacher, student, job):
    """Half the digits for a teacher that runs in every step beside a student in them.

    Only where its answers on a batch stay what they are. What is kept of a teacher is
    computed in full: other stages read it, too.
    """
    halves = {layer.compute_dtype for layer in all_layers(student)} & set(HALF)
    if stage.teaching.views is not None or len(halves) != 1:
        return None
    [half] = halves
    images, _ = next(iter(_batches(stage, job).dataset))
    exact = teacher_outputs(teacher, student, ())
    try:
        exact, rounded = (
            keras.ops.convert_to_numpy(net(images, training=False)[TEACHER_LOGITS])
            for net in (exact, fused(exact, half))
        )
        same = agreement(rounded, exact)
    except ValueError as error:  # not finite; or the net cannot be taken apart
        print(f"  its teacher does not compute in {half}: {error}", flush=True)
        return None
    kept = same >= SAME_ANSWERS
    print(
        f"  its teacher computes in {half if kept else 'float32'}: in {half}, "
        f"{100 * same:.1f}% of {len(images)} images get the same label",
        flush=True,
    )
    return half if kept else None


def _batches(stage, job):
    return pipeline.training_batches(
        job.data,
        batch_size=stage.training.batch_size,
        seed=job.seed,
        augment=job.augment,
    )


def _class_weights(stage, job):
    if stage.training.class_weights is None:
        return None
    labels = require_labels(job.data, "class_weights")
    return class_weights.balanced(labels, len(job.data.class_names))


def _label_loss_beside_a_teacher(stage, job):
    """None is the distiller's own, of plain integer labels."""
    weights = _class_weights(stage, job)
    if weights is None and not job.augment.mixes:
        return None
    return LabelLoss(class_weights=weights)


def _fit(  # noqa: PLR0913, two of them are options of the batches
    stage,
    model,
    job,
    part,
    train: Mapping[str, Any] | None = None,
    validation: Mapping[str, Any] | None = None,
    loss: keras.losses.Loss | None = None,
):
    """Train a net or a distiller; `train` and `validation` are options of batches."""
    settings = stage.training
    steps = pipeline.steps_per_epoch(job.data, settings.batch_size)
    part_of_batch = replicas.part_of(min(settings.batch_size, job.data.train.size))

    def batches(first_epoch):
        return pipeline.training_batches(
            job.data,
            batch_size=settings.batch_size,
            seed=job.seed,
            augment=job.augment,
            first_epoch=part.epochs_before + first_epoch,
            balanced=settings.sampling == "balanced",
            part=part_of_batch,
            **train or {},
        )

    return training.fit(
        model,
        batches,
        pipeline.evaluation_batches(
            job.data,
            "validation",
            as_distributions=job.augment.mixes,
            **validation or {},
        ),
        settings,
        loss=loss,
        title=stage.name,
        shown=[logged.key for logged in stage.logs],
        checkpoint=job.folder.checkpoint(part.number),
        rate=part.rate,
        callbacks=stage.callbacks_for(job, steps),
        best_from=stage.best_from(steps),
    )
