"""How tf_keras trains a net: its optimizer, its loss, the data.

Optimizers, losses and schedules of the learning rate may be those of Keras 3: they are
made again in tf_keras, which takes no others.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import tree

from compression.arguments import require_number, shown
from compression.logits import ending
from compression.tfmot.onlookers import looking_on
from compression.tfmot.optimizers import optimizer_of
from compression.tfmot.packages import tf_keras

LEAST = {"epochs": 0, "batch_size": 1, "steps_per_epoch": 1, "best_from": 0}
OPTIONAL = ("steps_per_epoch", "best_from")
MOST_STEPS = 10_000_000  # of an epoch: more come from data that never end
FROM_PROBABILITIES = ("softmax", "sigmoid", "probabilities")


@dataclass(frozen=True)
class Training:
    """What `compile` and `fit` of tf_keras are given.

    Attributes:
        epochs: through the training data.
        optimizer: of tf_keras or Keras 3, or its name.
        learning_rate: of an optimizer given by name; None: as tf_keras has it.
        loss: of tf_keras or Keras 3, its name, or a function of (labels, outputs).
            None: cross-entropy of integer classes, of logits or probabilities as the
            model gives them; of one output that of two classes.
        metrics: of tf_keras, or names.
        batch_size: of training data that are arrays.
        validation_data: as the training data.
        callbacks: of tf_keras, beside tfmot's own.
        onlookers: callbacks of Keras 3 that read the logs and no more: progress, a
            record.
        steps_per_epoch: of training data that never end, which go on from epoch to
            epoch; None: an epoch is all of them.
        best_from: of the epochs from this one on (the first is 0), the weights of that
            with the best validation accuracy are kept, the first of equals; None:
            those of the last epoch.
        jit_compile: XLA. All that tfmot does trains with it.
        seed: of shuffling arrays.
        verbose: as in `fit`.

    Raises:
        ValueError: a number is out of its range, or a callback is of the other Keras.
    """

    epochs: int = 1
    optimizer: Any = "adam"
    learning_rate: float | None = None
    loss: Any = None
    metrics: Sequence[Any] = ()
    batch_size: int = 32
    validation_data: Any = None
    callbacks: Sequence[Any] = ()
    onlookers: Sequence[keras.callbacks.Callback] = ()
    steps_per_epoch: int | None = None
    best_from: int | None = None
    jit_compile: bool = False
    seed: int = 0
    verbose: int = 0

    def __post_init__(self):
        for name, least in LEAST.items():
            value = getattr(self, name)
            if value is None and name in OPTIONAL:
                continue
            require_number(name, value, whole=True)
            if value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}")
        if self.best_from is not None:
            self._check_best()
        for callback in self.callbacks:
            if isinstance(callback, keras.callbacks.Callback):
                raise ValueError(
                    f"{type(callback).__name__} is a callback of Keras 3, and tf_keras "
                    "trains here: take that of tf_keras, or let it look on as one of "
                    "the onlookers"
                )

    def _check_best(self):
        if self.validation_data is None or "accuracy" not in self.metrics:
            raise ValueError(
                "the best epoch is that of the best validation accuracy: best_from "
                'needs validation_data and metrics=["accuracy"]'
            )
        if self.best_from >= max(self.epochs, 1):
            raise ValueError(
                f"best_from must be one of {self.epochs} epochs, the first being 0, "
                f"got {self.best_from}"
            )

    def compile(self, trained, model: keras.Model) -> None:
        """Compiles `trained`, a twin of `model` in tf_keras."""
        trained.compile(
            self._optimizer(),
            loss_of(self.loss, model),
            metrics=list(self.metrics),
            jit_compile=self.jit_compile,
        )

    def fit(self, trained, data: "Batches", callbacks: Sequence[Any] = ()) -> None:
        """Trains `trained`, which is compiled.

        Raises:
            ValueError: no loss was given, and the labels are no integer classes.
        """
        held_out = self.validation_data
        if self.loss is None:
            _require_classes(data, trained)
        trained.fit(
            data.dataset,
            epochs=self.epochs,
            steps_per_epoch=self.steps_per_epoch,
            callbacks=[
                *callbacks,  # masks are in force before anyone keeps the weights
                *self.callbacks,
                *self._keeper(),
                *map(looking_on, self.onlookers),
            ],
            validation_data=None
            if held_out is None
            else batches(held_out, self.batch_size, self.seed).dataset,
            verbose=self.verbose,
        )

    def data(self, given: Any) -> "Batches":
        """Training data as tf_keras takes them, see `batches`."""
        return batches(given, self.batch_size, self.seed, self.steps_per_epoch)

    def _keeper(self):
        """Keeps the weights of the best epoch."""
        if self.best_from is None:
            return
        yield tf_keras().callbacks.EarlyStopping(
            "val_accuracy",
            mode="max",
            patience=self.epochs,  # it never stops
            restore_best_weights=True,
            start_from_epoch=self.best_from,
        )

    def _optimizer(self):
        optimizer = optimizer_of(self.optimizer)
        if self.learning_rate is not None:
            if not isinstance(self.optimizer, str):
                raise ValueError(
                    "learning_rate is for an optimizer given by name: "
                    f"{type(self.optimizer).__name__} has one of its own"
                )
            optimizer.learning_rate = self.learning_rate
        return optimizer


@dataclass(frozen=True)
class Batches:
    """Training data: a `tf.data.Dataset`, and how many batches it has."""

    dataset: Any
    steps: int

    def images(self, count: int) -> list[np.ndarray]:
        """Batches with the first `count` images, or all."""
        found, left = [], count
        for batch in self.dataset:
            found.append(np.asarray(batch[0])[:left])
            left -= len(found[-1])
            if left <= 0:
                break
        return found


def batches(
    given: Any, batch_size: int, seed: int = 0, steps: int | None = None
) -> Batches:
    """Data as tf_keras takes them.

    Args:
        given: a `tf.data.Dataset` of batches (images, labels); a tuple of two arrays,
            which are shuffled and batched; or batches (images, labels) that can be
            gone through again, such as a list.
        batch_size: of arrays.
        seed: of their order.
        steps: of an epoch of data that never end; None: all of them.

    Raises:
        ValueError: it is none of these, there is no batch, or there is no end, or one
            before so many steps.
    """
    import tensorflow as tf

    if isinstance(given, tf.data.Dataset):
        dataset = given
    elif isinstance(given, tuple) and len(given) == 2 and _same_length(*given):
        arrays = tuple(map(np.asarray, given))
        dataset = tf.data.Dataset.from_tensor_slices(arrays)
        dataset = dataset.shuffle(len(arrays[0]), seed=seed).batch(batch_size)
    elif isinstance(given, Iterable) and iter(given) is not given:
        dataset = _generated(given)
    else:
        raise ValueError(
            "training data must be a tf.data.Dataset, a tuple (images, labels) of "
            f"arrays, or a list of batches, got {shown(type(given))}"
        )
    _require_pair(dataset.element_spec)
    if steps is not None:
        return Batches(_endless(dataset), steps)
    steps = int(dataset.cardinality())
    if steps == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            "the training data never end: give steps_per_epoch, or dataset.take(steps)"
        )
    if steps == tf.data.UNKNOWN_CARDINALITY:
        steps = sum(1 for _ in dataset.take(MOST_STEPS))
        if steps == MOST_STEPS:
            raise ValueError(
                f"the training data go on after {steps} batches: do they ever end?"
            )
    if not steps:
        raise ValueError("the training data hold no batch")
    return Batches(dataset, steps)


def _endless(dataset):
    if int(dataset.cardinality()) >= 0:
        raise ValueError(
            f"the training data end after {int(dataset.cardinality())} batches: leave "
            "steps_per_epoch out, or give dataset.repeat()"
        )
    return dataset


def _require_pair(batch):
    if not isinstance(batch, (tuple, list)) or len(batch) < 2:
        raise ValueError("training data must be batches (images, labels)")


def _require_classes(data, trained):
    """Cross-entropy of other labels is an error of tf_keras's, or a number of none."""
    shape = trained.output_shape
    if not isinstance(shape, tuple):
        return  # of several outputs
    classes = max(shape[-1], 2)
    for batch in data.dataset.take(1):
        labels = np.asarray(batch[1])
        flat = labels.ndim == 1 or (labels.ndim == 2 and labels.shape[1] == 1)
        if not flat or labels.dtype.kind not in "iu":
            raise ValueError(
                "labels must be integer classes (n,), as the loss takes them, got "
                f"{labels.shape} of {labels.dtype}; of one-hot labels give "
                "labels.argmax(-1), or give a loss"
            )
        if labels.size and not 0 <= labels.min() <= labels.max() < classes:
            raise ValueError(
                f"labels must be 0 to {classes - 1}, of {classes} classes, "
                f"got {labels.min()} to {labels.max()}"
            )


def _same_length(images, labels):
    return hasattr(images, "shape") and len(images) == len(labels)


def _generated(given):
    import tensorflow as tf

    first = next(iter(given), None)
    if first is None:
        raise ValueError("the training data hold no batch")
    _require_pair(first)

    def spec(value):
        return tf.TensorSpec((None, *value.shape[1:]), value.dtype)

    def arrays():
        for batch in given:
            yield tuple(map(_arrays, batch))

    signature = tree.map_structure(spec, tuple(map(_arrays, first)))
    return tf.data.Dataset.from_generator(arrays, output_signature=signature)


def _arrays(value):
    """An array; of several inputs or outputs a tuple or dict, as tf.data takes them."""
    if isinstance(value, dict):
        return {key: _arrays(each) for key, each in value.items()}
    several = isinstance(value, (tuple, list)) and any(np.ndim(x) for x in value)
    return tuple(map(_arrays, value)) if several else np.asarray(value)


def loss_of(given: Any, model: keras.Model) -> Any:
    """A loss as tf_keras takes it; None: the one that `Training` describes."""
    if given is None:
        kinds = {"linear"} if len(model.outputs) != 1 else {ending(model).kind}
        losses = tf_keras().losses
        one = len(model.outputs) == 1 and model.outputs[0].shape[-1] == 1
        kind = (
            losses.BinaryCrossentropy if one else losses.SparseCategoricalCrossentropy
        )
        return kind(from_logits=not kinds & set(FROM_PROBABILITIES))
    if isinstance(given, keras.losses.Loss):
        return _called(given)
    return given


def _called(loss: Callable):
    """Keras 3 computes on tensors of TensorFlow: its losses do in tf_keras."""

    def function(labels, outputs):
        return loss(labels, outputs)

    return function
