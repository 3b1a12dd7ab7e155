"""Training steps as `fit` does them, a few at a time, and what they cost."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import architectures
from experiments.benchmarks import turns
from experiments.benchmarks.progress import log_rounds

FOREVER = 1_000_000  # steps of a training that goes on through all turns


def net(name: str = "alexnet_small") -> keras.Model:
    """What the peers train, always with the same weights.

    A chain of stock layers, so that tf_keras has it, too.
    """
    keras.utils.set_random_seed(0)
    return architectures.build(name, input_shape=(32, 32, 3), classes=10, width=0.25)


def resnet() -> keras.Model:
    """ResNet-20 for 32 px, always with the same weights."""
    keras.utils.set_random_seed(0)
    return architectures.build("resnet20", input_shape=(32, 32, 3), classes=10)


def batches(model: keras.Model, batch: int) -> tf.data.Dataset:
    """One batch of noise with labels, for ever."""
    random = np.random.default_rng(0)
    images = random.normal(size=(batch, *model.input_shape[1:])).astype("float32")
    labels = random.integers(0, model.output_shape[-1], batch)
    return tf.data.Dataset.from_tensors((images, labels)).repeat()


def stepping(model, data: tf.data.Dataset, steps: int, callback=None):
    """A call of so many steps in the middle of a `fit` that never ends.

    Args:
        model: compiled, of Keras or of tf_keras.
        data: batches without end.
        steps: a call does.
        callback: is told of each step.
    """
    if callback is not None:
        callback.set_model(model)
        callback.set_params({"steps": FOREVER})
        callback.on_train_begin()
        callback.on_epoch_begin(0)
    model.make_train_function()
    left, numbers = iter(data), itertools.count()

    def call():
        for number in itertools.islice(numbers, steps):
            if callback is not None:
                callback.on_train_batch_begin(number)
            logs = model.train_function(left)
            if callback is not None:
                callback.on_train_batch_end(number)
        return float(logs["loss"])

    return call


def timed(  # noqa: PLR0913, all but two by keyword
    calls: Mapping[str, Callable[[], object]],
    bases: Mapping[str, str],
    *,
    rounds: int,
    steps: int,
    batch: int,
    log: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Seconds of a step in each way, and what it costs over another.

    Args:
        calls: case -> a call of so many steps, warm.
        bases: case -> the case that it is compared with.
    """
    seconds = turns.seconds_in_turns(
        calls, rounds=rounds, burst=1, on_round=log_rounds("steps", rounds, log)
    )
    seconds = {case: [s / steps for s in taken] for case, taken in seconds.items()}
    return compared(seconds, bases, batch)


def compared(
    seconds: Mapping[str, list[float]], bases: Mapping[str, str], batch: int
) -> list[dict[str, Any]]:
    """A row a case: its seconds of a batch, its speed, what it costs over another.

    Args:
        seconds: case -> a number a round.
        bases: case -> the case that it is compared with.
        batch: images of a batch.
    """
    rows = []
    for case, taken in seconds.items():
        row = {"case": case, "seconds": taken}
        row["images_per_second"] = turns.spread([batch / s for s in taken])._asdict()
        if case in bases:
            row["cost"] = turns.speed_ratio(seconds[bases[case]], taken)._asdict()
        rows.append(row)
    return rows
