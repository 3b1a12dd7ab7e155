"""Pipelines on all cores, as many from the first batch on.

tf.data's tuner looks for the number of threads while images flow. For these pipelines
it finds no better one than all cores, and its own thread makes an iterator that is
dropped wait, often for half of the time that it had lived: at the end of each
evaluation and each short training.
"""

from collections.abc import Callable

import tensorflow as tf

from experiments.cores import usable_cores


def mapped(
    dataset: tf.data.Dataset, function: Callable, *, deterministic: bool = True
) -> tf.data.Dataset:
    """`function` of each element, on all cores; in order, if `deterministic`."""
    return dataset.map(
        function, num_parallel_calls=usable_cores(), deterministic=deterministic
    )


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """`dataset` and all that it comes from, without tf.data's tuner."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
