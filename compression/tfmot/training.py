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
from compression.tfmot.packages import tf_keras

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
        seed: of shuffling arrays.
        verbose: as in `fit`.
    """

    epochs: int = 1
    optimizer: Any = "adam"
    learning_rate: float | None = None
    loss: Any = None
    metrics: Sequence[Any] = ()
    batch_size: int = 32
    validation_data: Any = None
    callbacks: Sequence[Any] = ()
    seed: int = 0
    verbose: int = 0

    def __post_init__(self):
        for name, least in (("epochs", 0), ("batch_size", 1)):
            value = getattr(self, name)
            require_number(name, value, whole=True)
            if value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}")
        for callback in self.callbacks:
            if isinstance(callback, keras.callbacks.Callback):
                raise ValueError(
                    f"{type(callback).__name__} is a callback of Keras 3, and tf_keras "
                    "trains here: take that of tf_keras"
                )

    def compile(self, trained, model: keras.Model) -> None:
        """Compiles `trained`, a twin of `model` in tf_keras."""
        trained.compile(
            self._optimizer(), loss_of(self.loss, model), metrics=list(self.metrics)
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
            callbacks=[*callbacks, *self.callbacks],
            validation_data=None if held_out is None else self.data(held_out).dataset,
            verbose=self.verbose,
        )

    def data(self, given: Any) -> "Batches":
        """Training data as tf_keras takes them, see `batches`."""
        return batches(given, self.batch_size, self.seed)

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


def batches(given: Any, batch_size: int, seed: int = 0) -> Batches:
    """Data as tf_keras takes them.

    Args:
        given: a `tf.data.Dataset` of batches (images, labels); a tuple of two arrays,
            which are shuffled and batched; or batches (images, labels) that can be
            gone through again, such as a list.
        batch_size: of arrays.
        seed: of their order.

    Raises:
        ValueError: it is none of these, there is no batch, or there is no end.
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
    steps = int(dataset.cardinality())
    if steps == tf.data.INFINITE_CARDINALITY:
        raise ValueError("the training data never end: give dataset.take(steps)")
    if steps == tf.data.UNKNOWN_CARDINALITY:
        steps = sum(1 for _ in dataset.take(MOST_STEPS))
        if steps == MOST_STEPS:
            raise ValueError(
                f"the training data go on after {steps} batches: do they ever end?"
            )
    if not steps:
        raise ValueError("the training data hold no batch")
    return Batches(dataset, steps)


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


def optimizer_of(given: Any):
    """An optimizer of tf_keras: one given by name, or like one of Keras 3.

    Raises:
        ValueError: tf_keras has none like it.
    """
    if isinstance(given, keras.optimizers.Optimizer):
        return _again(given, tf_keras().optimizers, "optimizer")
    try:
        return tf_keras().optimizers.get(given)
    except Exception as error:
        raise ValueError(f"tf_keras knows no optimizer {shown(given)}") from error


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


def _again(given, there, what):
    """An object of Keras 3 in a module of tf_keras, by class and config."""
    name = type(given).__name__
    kind = getattr(there, name, None)
    if kind is None:
        raise ValueError(f"tf_keras has no {what} {name}")
    config = kind().get_config()
    for key, value in given.get_config().items():
        if isinstance(value, dict) and "class_name" in value:
            schedule = keras.saving.deserialize_keras_object(value)
            value = getattr(
                tf_keras().optimizers.schedules, type(schedule).__name__
            ).from_config(schedule.get_config())
        if key in config:
            config[key] = value
    return kind.from_config(config)
