"""One `fit` for every stage: optimizer, learning rate, precision, callbacks, resume."""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import keras
from keras import ops

from compression.distillation import Distiller
from experiments.training.checkpoint import Checkpoint
from experiments.training.progress import Progress
from experiments.training.xla import faster_compiled

OPTIMIZERS = ("sgd", "adam", "adamw")
SCHEDULES = ("constant", "cosine", "step")
PRECISIONS = ("auto", "float32", "mixed_float16", "mixed_bfloat16")


@dataclass(frozen=True)
class Training:
    """How a stage trains.

    Attributes:
        epochs: passes over the train split.
        batch_size: images a step.
        optimizer: "sgd" (Nesterov momentum), "adam" or "adamw".
        learning_rate: at its highest, after warm-up.
        momentum: of "sgd".
        weight_decay: decoupled (Loshchilov & Hutter 2019); biases and batch norm are
            left out.
        schedule: "constant"; "cosine" to zero; "step": times `drop_factor` at each of
            `drops`.
        warmup_epochs: linear rise from zero.
        drops: fractions of the training after which "step" drops.
        drop_factor: of "step".
        label_smoothing: 0 <= label_smoothing < 1, where labels are learned alone.
        clip_norm: largest norm of all gradients together; None: unclipped.
        keep: the epoch whose weights are kept: "best" validation top-1, or "last",
            where validation does not tell what the net is for.
        patience: epochs without a better validation top-1 before it stops; None: never.
        precision: "auto" is "mixed_float16" on a GPU, "float32" elsewhere.
        jit_compile: XLA. "auto": measured before training on a GPU; off on a CPU,
            where it was measured to cost a third of the speed.
    """

    epochs: int
    batch_size: int = 64
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = "cosine"
    warmup_epochs: float = 0.0
    drops: tuple[float, ...] = (0.5, 0.75)
    drop_factor: float = 0.1
    label_smoothing: float = 0.0
    clip_norm: float | None = None
    keep: str = "best"
    patience: int | None = None
    precision: str = "auto"
    jit_compile: bool | str = "auto"

    def __post_init__(self):
        for field, valid in (
            ("optimizer", OPTIMIZERS),
            ("schedule", SCHEDULES),
            ("keep", ("best", "last")),
            ("precision", PRECISIONS),
            ("jit_compile", ("auto", "measure", True, False)),
        ):
            if getattr(self, field) not in valid:
                choices = ", ".join(map(str, valid))
                raise ValueError(
                    f"no {field} called {getattr(self, field)!r}; choose from {choices}"
                )
        for field in ("epochs", "batch_size", "learning_rate"):
            if getattr(self, field) <= 0:
                raise ValueError(
                    f"{field} must be positive, got {getattr(self, field)}"
                )
        if self.keep == "last" and self.patience is not None:
            raise ValueError('patience waits for a better epoch: it needs keep="best"')
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                f"label_smoothing must be in [0, 1), got {self.label_smoothing}"
            )


class Trained(NamedTuple):
    """What a training leaves behind beside the weights.

    Attributes:
        history: "epoch" (from 1) and every logged value, one number an epoch.
        best_epoch: the epoch whose weights were kept, None if none counted.
        best_score: its top-1 on the validation split.
    """

    history: dict[str, list[float]]
    best_epoch: int | None
    best_score: float | None


@keras.saving.register_keras_serializable("limbeck")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule times a linear rise over the first `steps` steps."""

    def __init__(self, schedule, steps: int):
        self.schedule = schedule
        self.steps = steps

    def __call__(self, step):
        risen = (ops.cast(step, "float32") + 1) / self.steps
        return self.schedule(step) * ops.minimum(risen, 1.0)

    def get_config(self):
        return {
            "schedule": keras.saving.serialize_keras_object(self.schedule),
            "steps": self.steps,
        }

    @classmethod
    def from_config(cls, config):
        schedule = keras.saving.deserialize_keras_object(config["schedule"])
        return cls(schedule, config["steps"])


@keras.saving.register_keras_serializable("limbeck")
class LabelLoss(keras.losses.Loss):
    """Cross-entropy of integer labels and logits, labels smoothed by `smoothing`.

    Szegedy et al. (2016), section 7: the target is `1 - smoothing` on the label plus
    `smoothing / classes` everywhere.
    """

    def __init__(self, smoothing=0.0, name="label_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        self.smoothing = smoothing

    def call(self, y_true, y_pred):
        log_p = ops.log_softmax(y_pred)
        labels = ops.cast(ops.reshape(y_true, (-1, 1)), "int32")
        picked = ops.squeeze(ops.take_along_axis(log_p, labels, axis=-1), -1)
        mean = ops.mean(log_p, axis=-1)
        return -(1 - self.smoothing) * picked - self.smoothing * mean

    def get_config(self):
        return super().get_config() | {"smoothing": self.smoothing}


def learning_rate(settings: Training, steps_per_epoch: int):
    """The learning rate as a Keras schedule of the step."""
    schedules = keras.optimizers.schedules
    rate, steps = settings.learning_rate, settings.epochs * steps_per_epoch
    if settings.schedule == "cosine":
        schedule = schedules.CosineDecay(rate, steps)
    elif settings.schedule == "step":
        # Keras changes the rate after a boundary; we mean: from that step on.
        boundaries = [math.ceil(steps * drop) - 1 for drop in settings.drops]
        rates = [rate * settings.drop_factor**i for i in range(len(boundaries) + 1)]
        schedule = schedules.PiecewiseConstantDecay(boundaries, rates)
    else:
        schedule = schedules.PolynomialDecay(rate, steps, end_learning_rate=rate)
    warmup = round(settings.warmup_epochs * steps_per_epoch)
    return WarmUp(schedule, warmup) if warmup else schedule


def optimizer(settings: Training, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """A new optimizer; weight decay spares biases and batch norm."""
    options = {
        "learning_rate": learning_rate(settings, steps_per_epoch),
        "weight_decay": settings.weight_decay or None,
        "global_clipnorm": settings.clip_norm,
    }
    if settings.optimizer == "sgd":
        made = keras.optimizers.SGD(
            momentum=settings.momentum, nesterov=settings.momentum > 0, **options
        )
    elif settings.optimizer == "adam":
        made = keras.optimizers.Adam(**options)
    else:
        made = keras.optimizers.AdamW(
            **options | {"weight_decay": settings.weight_decay}
        )
    if settings.weight_decay:
        made.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return made


@contextlib.contextmanager
def precision(settings: Training) -> Iterator[None]:
    """Nets built inside compute in the settings' precision."""
    before = keras.config.dtype_policy()
    chosen = settings.precision
    if chosen == "auto":
        chosen = "mixed_float16" if _gpus() else "float32"
    keras.config.set_dtype_policy(chosen)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def fit(
    model: keras.Model,
    train: Callable,
    validation,
    settings: Training,
    *,
    checkpoint: Path,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    best_from: int = 0,
) -> Trained:
    """Train `model`, going on where an interrupted call with `checkpoint` stood.

    Afterwards the model has the weights of the epoch with the best validation top-1
    (the last such epoch where several are equal), or of the last epoch, as
    `settings.keep` says.

    Args:
        model: net (learns the labels) or `Distiller` (has its own losses); changed.
        train: function of the first epoch that gives endless batches from that epoch
            on, and the steps of an epoch.
        validation: batches, gone through after every epoch.
        settings: how to train.
        checkpoint: file that holds the state after the last whole epoch.
        callbacks: more Keras callbacks, called before ours.
        best_from: epochs before this one (from 0) do not count as best.

    Returns:
        What was logged, and the epoch whose weights the model has now.

    Raises:
        FloatingPointError: the loss became NaN or infinite; says at which step, and
            which epoch the checkpoint holds.
        ValueError: the checkpoint belongs to another model or is damaged.
    """
    loss = None if isinstance(model, Distiller) else LabelLoss(settings.label_smoothing)
    steps = train(0).steps_per_epoch

    def compile_with(jit_compile):
        model.compile(
            optimizer(settings, steps),
            loss=loss,
            metrics=["accuracy"],
            jit_compile=jit_compile,
        )
        model.optimizer.build(model.trainable_variables)

    compile_with(_jit_compile(model, compile_with, train, settings))
    if settings.keep == "last":
        best_from = settings.epochs - 1
    keeper = Checkpoint(checkpoint, patience=settings.patience, best_from=best_from)
    first_epoch = keeper.restore(model)
    if first_epoch < settings.epochs and not keeper.stopped:
        batches = train(first_epoch)
        model.fit(
            batches.dataset,
            epochs=settings.epochs,
            initial_epoch=first_epoch,
            steps_per_epoch=batches.steps_per_epoch,
            validation_data=validation,
            shuffle=False,  # the batches are
            callbacks=[
                *callbacks,
                keeper,
                Progress(model.name, settings.epochs, settings.batch_size),
            ],
            verbose=0,
        )
    keeper.take_best(model)
    return Trained(keeper.history, keeper.best.get("epoch"), keeper.best.get("score"))


def _jit_compile(model, compile_with, train, settings):
    chosen = settings.jit_compile
    if chosen == "measure" or (chosen == "auto" and _gpus()):
        return faster_compiled(model, compile_with, next(iter(train(0).dataset)))
    return False if chosen == "auto" else chosen


def _gpus():
    import tensorflow as tf

    return tf.config.list_physical_devices("GPU")
