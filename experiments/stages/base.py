"""The stages of an experiment: each reads models and data and writes a smaller model.

A stage is a frozen record of settings; `run` does what it says. Files go to the folder
that `run` is given; `runs.py` makes that folder appear whole.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

import architectures
from compression import distillation, export, measure, pruning
from compression.distillation import (
    Distiller,
    FeatureLoss,
    LogitLoss,
    SoftTargets,
    best_bias_shift,
    heard_by,
    shift_bias,
    teacher_outputs,
)
from experiments.data import Data, pipeline
from experiments.data.augment import Augment
from experiments.data.transfer_set import check_classes, only_classes
from experiments.files import write_json
from experiments.stages import published_weights as published
from experiments.stages.teacher_cache import taught
from experiments.training import fit as training
from experiments.training.fit import Training

MODEL = "model.keras"
HISTORY = "history.json"
DEPLOY = "deploy.json"  # what whoever ships the files must know of input and output


@dataclass(frozen=True)
class Net:
    """A net of the catalogue: its name and what its builder takes beside the data's.

    Attributes:
        name: in the catalogue.
        options: of its builder.
        weights: what it starts from: None, random; "published", or the path of a file
            of published weights (then see `Recipe.normalisation`).
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    weights: str | None = None

    def __post_init__(self):
        architectures.card(self.name)  # or it says which nets there are

    def built(self, data: Data) -> keras.Model:
        """A new net for the images and classes of `data`.

        Raises:
            ValueError: the net cannot take such images, options or weights.
        """
        try:
            model = architectures.build(
                self.name,
                input_shape=data.image_shape,
                classes=len(data.class_names),
                **self.options,
            )
        except TypeError as error:  # an option that the builder does not have
            raise ValueError(f"{self.name}: {error}") from error
        if self.weights is not None:
            published.fill(model, self.weights)
        return model


@dataclass(frozen=True)
class Export:
    """A form in which a model is written: `format` "litert" or "saved_model"."""

    format: str
    precision: str = "float32"

    @property
    def file(self) -> str:
        """File or folder name inside the stage's folder."""
        return f"model.{self.precision}" + (
            ".tflite" if self.format == "litert" else ".savedmodel"
        )


FLOAT_EXPORTS = (Export("litert"), Export("saved_model"))


@dataclass(frozen=True)
class Teaching:
    """How a student hears its teacher.

    Attributes:
        temperature: T of Hinton et al. (2015).
        soft_weight: factor of the soft targets' loss; 0: without them.
        label_weight: factor of the label loss.
        views: augmented views of each image that are shown in turn, one an epoch, the
            teacher's outputs for them computed once; None: a new view every epoch,
            and the teacher runs in every step.
        view_seed: of the views' augmentation; None: the run's seed. A fixed one lets
            all seeds share a cache.
        parts: more losses of `compression.distillation`: class -> its options. The
            number of train images is filled in where a class takes `images`.
    """

    temperature: float = 4.0
    soft_weight: float = 0.9
    label_weight: float = 0.1
    views: int | None = 8
    view_seed: int | None = None
    parts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)

    def losses(self, images: int) -> list[LogitLoss | FeatureLoss]:
        """The parts of the distiller's loss, for a train split of `images`.

        Raises:
            ValueError: there is no such class, or it does not take such options.
        """
        losses = []
        if self.soft_weight:
            losses.append(SoftTargets(self.temperature, weight=self.soft_weight))
        return losses + [_part(*part, images) for part in self.parts.items()]


def _part(kind, options, images):
    found = getattr(distillation, kind, None)
    if not (isinstance(found, type) and issubclass(found, LogitLoss | FeatureLoss)):
        raise ValueError(f"no loss called {kind!r} in compression.distillation")
    parameters = inspect.signature(found).parameters
    if unknown := options.keys() - parameters.keys():
        raise ValueError(
            f"{kind} has no option {', '.join(sorted(unknown))}; it takes "
            f"{', '.join(parameters)}"
        )
    counted = {"images": images} if "images" in parameters else {}
    return found(**counted | options)


@dataclass(frozen=True)
class Stage:
    """What all stages have: a name and the forms in which their model is exported.

    The first form stands for the stage in the main table.
    """

    name: str

    once = False  # whether all seeds share the model that seed 0 makes

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the stages whose models this one reads."""
        return ()

    def check(self, data: Data) -> None:
        """Better now than after an hour of other stages: does the stage suit the data?

        Raises:
            ValueError: its net cannot take such images, or there are no such classes.
        """
        if hasattr(self, "net"):
            self.net.built(data)
        if getattr(self, "classes", None) is not None:
            check_classes(data, self.classes)


@dataclass(frozen=True)
class Job:
    """What `run` gets beside the settings.

    Attributes:
        data: the dataset.
        augment: what training images go through.
        seed: of the run; all randomness derives from it.
        folder: where to write.
        stages: all of the recipe.
        cache: where teacher outputs are kept for later stages and runs.
        load: function of a stage's name that gives its finished model.
    """

    data: Data
    augment: Augment
    seed: int
    folder: Path
    stages: tuple[Stage, ...]
    cache: Path
    load: Callable[[str], keras.Model]


@dataclass(frozen=True)
class Train(Stage):
    """A net learns from the labels alone.

    Attributes:
        augment: what its training images go through; None: as the recipe says.
    """

    net: Net
    training: Training
    exports: tuple[Export, ...] = FLOAT_EXPORTS
    once: bool = False
    augment: Augment | None = None

    @property
    def what(self) -> str:
        """What this stage does, in words."""
        how = "trained" if self.net.weights is None else "from published weights, tuned"
        return f"{self.net.name} {how} on the labels"

    def run(self, job: Job) -> dict[str, Any]:
        """Train, write the model and its exports; returns what the row says of it."""
        with training.precision(self.training):
            model = self.net.built(job.data)
        trained = _fit(model, self.training, _own(self, job))
        return _finish(self, model, job, trained)


@dataclass(frozen=True)
class Distill(Stage):
    """A net learns from the labels and from a teacher.

    Attributes:
        augment: what its training images go through; None: as the recipe says.
        classes: labels of the transfer set, the only train images that are shown;
            None: all. Validation stays whole, so `Training(keep="last")` is honest
            where some classes are lacking: the best epoch would be chosen by images
            of classes that the student never saw.
    """

    net: Net
    teacher: str
    training: Training
    teaching: Teaching = field(default_factory=Teaching)
    exports: tuple[Export, ...] = FLOAT_EXPORTS
    augment: Augment | None = None
    classes: tuple[int, ...] | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.teacher,)

    @property
    def what(self) -> str:
        """What this stage does, in words."""
        some = "" if self.classes is None else f" on images of {_listed(self.classes)}"
        return f"{self.net.name} taught by the {self.teacher}{some}"

    def run(self, job: Job) -> dict[str, Any]:
        """Distill, write the model and its exports; returns what the row says of it."""
        with training.precision(self.training):
            student = self.net.built(job.data)
        trained, about = _distill(self, student, _own(self, job))
        return _finish(self, student, job, trained) | about


@dataclass(frozen=True)
class CorrectBias(Stage):
    """An earlier stage's model, one number added to the output biases of some classes.

    The number is the one that gets most validation images right; Hinton et al. (2015,
    section 3) chose it on the test images.

    Attributes:
        classes: labels whose biases are shifted together.
    """

    start: str
    classes: tuple[int, ...]
    exports: tuple[Export, ...] = FLOAT_EXPORTS

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.start,)

    @property
    def what(self) -> str:
        """What this stage does, in words."""
        return (
            f"the {self.start} net, its output biases of {_listed(self.classes)} "
            "shifted as suits the validation images"
        )

    def run(self, job: Job) -> dict[str, Any]:
        """Choose the shift, write the model; returns what the row says of it."""
        model = job.load(self.start)
        batches = list(pipeline.evaluation_batches(job.data, "validation"))
        labels = np.concatenate([label for _, label in batches])
        shift = best_bias_shift(measure.logits(model, batches), labels, self.classes)
        shift_bias(model, self.classes, shift)
        top1 = measure.accuracy(measure.logits(model, batches), labels)
        about = _finish(self, model, job, None)
        return about | {"bias_shift": shift, "validation_top1": top1}


@dataclass(frozen=True)
class Prune(Stage):
    """Weights of an earlier stage's model are pruned while distillation goes on.

    Attributes:
        sparsity: fraction of kernel weights that are zero in the end.
        until: fraction of the training after which that sparsity is reached; the
            rest trains at it.
        scope: "global" or "layer".
    """

    start: str
    teacher: str
    training: Training
    sparsity: float = 0.8
    until: float = 0.6
    scope: str = "global"
    teaching: Teaching = field(default_factory=Teaching)
    exports: tuple[Export, ...] = FLOAT_EXPORTS

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.start, self.teacher)

    @property
    def what(self) -> str:
        """What this stage does, in words."""
        return (
            f"the {self.start} net pruned to {self.sparsity:.0%} zeros, still taught "
            f"by the {self.teacher}"
        )

    def run(self, job: Job) -> dict[str, Any]:
        """Prune, write the model and its exports; returns what the row says of it."""
        student = job.load(self.start)
        steps = _batches(self.training, job)(0).steps_per_epoch
        # The last update of the masks comes at the latest with the last epoch.
        end = max(1, round(self.until * self.training.epochs)) * steps
        end = min(end, (self.training.epochs - 1) * steps) or 1
        schedule = pruning.PolynomialDecay(
            self.sparsity, begin=0, end=end, frequency=max(1, steps // 4)
        )
        callback = pruning.Prune(schedule, scope=self.scope)
        best_from = -(-end // steps)
        trained, about = _distill(self, student, job, [callback], best_from)
        return _finish(self, student, job, trained) | about


@dataclass(frozen=True)
class Quantize(Stage):
    """An earlier stage's model in integers, its ranges calibrated on train images.

    Attributes:
        calibration: number of train images that are looked at.
    """

    start: str
    calibration: int = 256
    exports: tuple[Export, ...] = (
        Export("litert", "int8"),
        Export("litert", "dynamic"),
        Export("litert", "float16"),
        Export("saved_model", "int8"),
        Export("saved_model", "float16"),
    )

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.start,)

    @property
    def what(self) -> str:
        """What this stage does, in words."""
        return f"the {self.start} net in 8-bit integers, calibrated on train images"

    def run(self, job: Job) -> dict[str, Any]:
        """Write the model in every form; returns what the row says of it."""
        return _finish(self, job.load(self.start), job, None, self.calibration)


def _own(stage, job):
    """The job with the images that this stage asks for."""
    own = {}
    if stage.augment is not None:
        own["augment"] = stage.augment
    if getattr(stage, "classes", None) is not None:
        own["data"] = only_classes(job.data, stage.classes)
    return replace(job, **own)


def _listed(classes):
    return f"class{'es' * (len(classes) > 1)} {', '.join(map(str, classes))}"


def _batches(settings, job, **options):
    """The train batches as a function of the first epoch."""

    def batches(first_epoch):
        return pipeline.training_batches(
            job.data,
            batch_size=settings.batch_size,
            seed=job.seed,
            augment=job.augment,
            first_epoch=first_epoch,
            **options,
        )

    return batches


def _fit(model, settings, job, train=None, validation=None, **options):
    """Train; `train` and `validation` are options of the batches."""
    return training.fit(
        model,
        _batches(settings, job, **train or {}),
        pipeline.evaluation_batches(job.data, "validation", **validation or {}),
        settings,
        checkpoint=job.folder / "checkpoint.npz",
        **options,
    )


def _distill(stage, student, job, callbacks=(), best_from=0):
    """Train with a teacher; returns what came of it, and what the row says of that."""
    teaching, teacher = stage.teaching, job.load(stage.teacher)
    view_seed = job.seed if teaching.view_seed is None else teaching.view_seed
    distiller = Distiller(
        student,
        teacher=teacher,
        losses=teaching.losses(job.data.train.size),
        label_weight=teaching.label_weight,
        name=stage.name,
    )
    train, validation = {"view_seed": view_seed, "with_index": True}, {}
    about = {}
    if teaching.views is not None:
        told = taught(
            _everything_heard(stage, teacher, student, job),
            job.data,
            views=teaching.views,
            seed=view_seed,
            augment=job.augment,
            root=job.cache,
        )
        about = {"teacher_cache": told.about}
        train["taught"] = {name: told.train.outputs[name] for name in distiller.hears}
        validation["taught"] = {
            name: told.validation.outputs[name][0] for name in distiller.hears
        }
    trained = _fit(
        distiller,
        stage.training,
        job,
        train,
        validation,
        callbacks=callbacks,
        best_from=best_from,
    )
    return trained, about


def _everything_heard(stage, teacher, student, job):
    """The teacher with all outputs that this recipe's students hear of it.

    One cache for all: the teacher looks at an image once, not once for each method.
    """
    heard = []
    for other in job.stages:
        if isinstance(other, Distill) and other.teacher == stage.teacher:
            net = other.net.built(job.data)
            for loss in other.teaching.losses(job.data.train.size):
                heard += heard_by(loss, teacher, net)
    for loss in stage.teaching.losses(job.data.train.size):
        heard += heard_by(loss, teacher, student)
    return teacher_outputs(teacher, student, heard)


def _finish(stage, model, job, trained, calibration=None):
    """Write model, exports, history, `deploy.json`; returns what the row says of it."""
    model.save(job.folder / MODEL, include_optimizer=False)
    calibrated = {}
    if calibration is not None:
        images = pipeline.evaluation_batches(job.data, "train", batch_size=64)
        calibrated = {"calibration": list(images.take(-(-calibration // 64)))}
    for form in stage.exports:
        path = job.folder / form.file
        if form.format == "litert":
            export.litert(model, path, precision=form.precision, **calibrated)
        else:
            export.saved_model(model, path, weights=form.precision)
    write_json(
        job.folder / DEPLOY,
        {
            "input": "float32 (pixels / 255 - mean) / std, RGB or grey, rows first",
            "image_shape": list(job.data.image_shape),
            "mean": list(job.data.mean),
            "std": list(job.data.std),
            "output": "logits, one for each class",
            "class_names": list(job.data.class_names),
        },
    )
    about = {"stage": stage.name, "net": model.name, "what": stage.what}
    if stage.once:
        about["once"] = True
    if trained:
        write_json(job.folder / HISTORY, trained.history)
        about |= {
            "epochs": len(trained.history["epoch"]),
            "best_epoch": trained.best_epoch,
            "validation_top1": trained.best_score,
        }
    return about
