"""A training by tfmot, which is one in tf_keras, with our settings and progress."""

import math
from collections.abc import Callable

import keras

from experiments.data.pipeline import Batches
from experiments.training.checkpoint import MONITOR
from experiments.training.fit import Trained
from experiments.training.optimizers import optimizer
from experiments.training.progress import Progress
from experiments.training.settings import Training

# Settings that only our own `fit` follows, and the values with which they do nothing.
OURS_ALONE = {
    "accumulation": (1,),
    "averaging": (None,),
    "patience": (None,),
    "precision": ("auto", "float32"),
    "jit_compile": ("auto", True, False),
    "schedule": ("cosine", "step", "constant"),
    "optimizer": ("adamw", "adam", "sgd"),
}


class Record(keras.callbacks.Callback):
    """Keeps what is logged; stops a training whose loss is no number any more.

    Attributes:
        history: as `Trained` has it.
    """

    def __init__(self):
        super().__init__()
        self.history: dict[str, list[float]] = {}

    def on_epoch_end(self, epoch, logs=None):
        if not math.isfinite(logs["loss"]):
            raise FloatingPointError(
                f"the loss became {logs['loss']} in epoch {epoch + 1}: lower the "
                "learning rate"
            )
        for key, value in {"epoch": epoch + 1, **logs}.items():
            self.history.setdefault(key, []).append(value)

    def best_epoch(self, first: int) -> int:
        """From 0: that of the best validation accuracy, from `first` on."""
        scores = self.history[MONITOR]
        return max(range(first, len(scores)), key=scores.__getitem__)


def require_known(settings: Training) -> None:
    """Raises ValueError where a training in tf_keras cannot follow `settings`."""
    for name, allowed in OURS_ALONE.items():
        value = getattr(settings, name)
        if value not in allowed:
            raise ValueError(
                f"tfmot trains in tf_keras, which has no {name}={value!r}: choose from "
                f"{', '.join(map(repr, allowed))}"
            )


def fit(
    engine: Callable[..., keras.Model],
    batches: Batches,
    validation,
    settings: Training,
    *,
    loss: keras.losses.Loss,
    title: str = "",
    best_from: int = 0,
) -> tuple[keras.Model, Trained]:
    """What `engine` makes of a net, and what was logged.

    It trains in float32, and one that was interrupted begins anew. The best epoch is
    the first of equals.

    Args:
        engine: function of training data and what `compression.tfmot.Training` takes.
        batches: endless.
        validation: batches, gone through after every epoch.
        settings: how to train, as `require_known` allows.
        loss: of (labels, logits).
        title: head of the lines of progress.
        best_from: epochs before this one (from 0) do not count as best; the last
            one always does.

    Raises:
        FloatingPointError: the loss became NaN or infinite.
        RuntimeError, ValueError: as `engine` does.
    """
    last = settings.epochs - 1
    best_from = last if settings.keep == "last" else min(best_from, last)
    record = Record()
    progress = Progress(title, settings.epochs, settings.batch_size)
    model = engine(
        batches.dataset,
        epochs=settings.epochs,
        steps_per_epoch=batches.steps_per_epoch,
        optimizer=optimizer(settings, batches.steps_per_epoch),
        loss=loss,
        metrics=["accuracy"],
        validation_data=validation,
        best_from=best_from,
        onlookers=[record, progress],
        jit_compile=settings.jit_compile is True,
    )
    best = record.best_epoch(best_from)
    score = record.history[MONITOR][best]
    return model, Trained(record.history, best + 1, score, progress.rate)
