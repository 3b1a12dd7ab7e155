"""Training on several devices or machines at once, each with a part of every batch.

TensorFlow's strategies do the work. Keras's own `fit` fails under them between
machines, and on a last batch of an odd size, so that `fit` here goes through the
epochs in its place.

A batch is as large as the settings say, however many replicas share it, and learning
rates stay as they are: the same net is trained on any number of devices. Batch norm
takes its statistics from the whole batch. Losses that compare images of a batch with
each other compare those of one replica.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import keras
from keras import tree

from compression.batch_norm import batch_norms
from compression.copies import copied
from compression.quiet import quiet
from experiments.training.settings import Training
from experiments.training.strategies import worker

if TYPE_CHECKING:
    import tensorflow as tf


def are_several() -> bool:
    """Whether a strategy is in force that trains on more than one device."""
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync > 1


def require_possible(settings: Training) -> None:
    """Raises ValueError where devices that train together cannot do as settings ask."""
    if not are_several():
        return
    if settings.jit_compile is True:
        raise ValueError(
            "XLA compiles no step that devices share: jit_compile=False, or train "
            "without --strategy"
        )
    if settings.accumulation > 1:
        raise ValueError(
            f"devices that share batches accumulate no gradients, got accumulation "
            f"{settings.accumulation}: a batch_size {settings.accumulation} times as "
            "large does the same, or train without --strategy"
        )


@contextmanager
def spread(
    model: keras.Model, strategy: "tf.distribute.Strategy | None"
) -> Iterator[keras.Model]:
    """Lends a copy of `model` on all devices of the strategy.

    What the copy has learned by the end, `model` has, too. Without a strategy it is
    `model` itself that is lent.
    """
    if strategy is None:
        yield model
        return
    with strategy.scope():
        copy = copied(model)
    yield copy
    model.set_weights(copy.get_weights())


def part_of(batch_size: int) -> tuple[int, int]:
    """This worker's part of every train batch, as `pipeline.training_batches` takes it.

    Raises:
        ValueError: replicas cannot have equal parts of such a batch.
    """
    import tensorflow as tf

    count = tf.distribute.get_strategy().num_replicas_in_sync
    if batch_size % count:
        raise ValueError(
            f"{count} devices cannot share a batch of {batch_size} images: give a "
            f"batch_size that is a multiple of {count}"
        )
    return worker()


def fit(  # noqa: PLR0913, as Keras's own
    model: keras.Model,
    train: Iterable,
    *,
    epochs: int,
    initial_epoch: int,
    steps_per_epoch: int,
    validation_data: Iterable,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """What `keras.Model.fit` does, under the strategy in whose scope it is called.

    Args:
        model: compiled, and built in that scope.
        train: this worker's endless batches.
        epochs, initial_epoch, steps_per_epoch, callbacks: as Keras takes them.
        validation_data: batches, which every replica goes through whole.
    """
    for norm in batch_norms(model):
        norm.synchronized = True
    steps = _Steps(model)
    batches = iter(train)
    calls = keras.callbacks.CallbackList(
        callbacks, model=model, epochs=epochs, steps=steps_per_epoch, verbose=0
    )
    steps.make_metrics(next(iter(validation_data)))
    model.stop_training = False
    calls.on_train_begin()  # which may change what a step does
    logs: Mapping[str, Any] = {}
    for epoch in range(initial_epoch, epochs):
        calls.on_epoch_begin(epoch)
        model.reset_metrics()
        for step in range(steps_per_epoch):
            calls.on_train_batch_begin(step)
            logs = steps.train(next(batches))
            calls.on_train_batch_end(step, logs)
        steps.agree()
        logs = {name: float(value) for name, value in logs.items()}
        logs |= _validated(model, steps, validation_data, calls)
        calls.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    if epochs > initial_epoch:
        model.optimizer.finalize_variable_values(model.trainable_weights)
    calls.on_train_end(logs)


def _validated(model, steps, batches, calls):
    calls.on_test_begin()
    model.reset_metrics()
    logs: Mapping[str, Any] = {}
    for batch in batches:
        logs = steps.test(batch)
    calls.on_test_end(logs)
    return {f"val_{name}": float(value) for name, value in logs.items()}


class _Steps:
    """Steps of a model on all devices at once, each compiled at its first call."""

    def __init__(self, model):
        import tensorflow as tf

        self._tf, self._model = tf, model
        self._strategy = tf.distribute.get_strategy()
        self._worker = worker()
        self.train, self.test = _compiled(self._train), _compiled(self._test)
        self.agree = _compiled(lambda: self._strategy.run(self._agreed))

    def make_metrics(self, batch):
        """Lets Keras make its metrics, which it does in the first step it computes."""
        with quiet():  # TensorFlow says that this is slow
            self._strategy.run(self._model.test_step, args=(batch,))

    def _train(self, batch):
        return self._mean(self._strategy.run(self._train_part, args=(batch,)))

    def _test(self, batch):
        return self._mean(self._strategy.run(self._model.test_step, args=(batch,)))

    def _train_part(self, batch):
        context = self._tf.distribute.get_replica_context()
        here = context.num_replicas_in_sync // self._worker.count
        place = context.replica_id_in_sync_group - self._worker.index * here

        def part(column):
            size = self._tf.shape(column)[0] // here
            return column[place * size : (place + 1) * size]

        return self._model.train_step(tree.map_structure(part, batch))

    def _mean(self, logs):
        return {
            name: self._strategy.reduce("MEAN", value, axis=None)
            for name, value in logs.items()
        }

    def _agreed(self):
        """What each device has found for itself, as ranges of fake quantization."""
        context = self._tf.distribute.get_replica_context()
        for variable in self._model.non_trainable_variables:
            if keras.backend.is_float_dtype(variable.dtype):
                here = self._tf.identity(variable.value)
                variable.assign(context.all_reduce("MEAN", here))


def _compiled(function):
    import tensorflow as tf

    step = tf.function(function, reduce_retracing=True, autograph=False)

    def call(*batch):
        # Each training compiles its own, which TensorFlow takes for a mistake.
        with nullcontext() if step.experimental_get_tracing_count() else quiet():
            return step(*batch)

    return call
