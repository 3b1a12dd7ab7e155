"""A teacher's outputs on their way from arrays into batches, each to its image."""

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

HOST = "CPU:0"  # where tf.data works, also beside a GPU
# Bytes up to which an array is copied into memory. A batch of 128 took 0.1 ms from
# there and 0.25 ms from the map; to copy 369 MB took 2.6 s.
COPIED = 2**28
OWN = ("image", "index")  # names that the pipeline gives itself


def replayed(
    arrays: Mapping[str, np.ndarray] | None, rows: tuple[int | None, ...]
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """A function of indices that gives those rows of every array.

    Args:
        arrays: name -> (*rows, ...) arrays; None: the function gives nothing.
        rows: leading sizes that all must have.

    Returns:
        Function of (batch, len(rows)) int64 indices, to be used inside tf.data; gives
        name -> (batch, ...) in the array's own dtype.

    Raises:
        ValueError: an array has another shape, or the name of something else.
    """
    arrays = arrays or {}
    for name, array in arrays.items():
        if name in OWN:
            raise ValueError(f"a teacher's output cannot be called {name!r}")
        if np.shape(array)[: len(rows)] != rows:
            wanted = ", ".join(map(str, rows))
            raise ValueError(
                f"{name} must have shape ({wanted}, ...), got {np.shape(array)}"
            )
    gathers = {name: _gather(array, len(rows)) for name, array in arrays.items()}
    return lambda indices: {name: gather(indices) for name, gather in gathers.items()}


def _gather(array, axes):
    if array.nbytes <= COPIED:
        with tf.device(HOST):
            held = tf.convert_to_tensor(np.asarray(array))
        return lambda indices: tf.gather_nd(held, indices)

    def read(indices):
        return array[tuple(indices.T)]

    def gather(indices):
        rows = tf.numpy_function(read, [indices], array.dtype, stateful=False)
        return tf.ensure_shape(rows, (None, *array.shape[axes:]))

    return gather
