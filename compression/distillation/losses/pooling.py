"""Maps of any size pooled to any smaller one: adaptive pooling, the same everywhere.

Keras 3.15 has it too, but rounds its windows in float32 on JAX (15 to 7 is wrong
there) and fails to trace the pooling to size 1 on TensorFlow.
"""

import keras
import numpy as np
from keras import ops


def windows(size: int, wanted: int) -> list[tuple[int, int]]:
    """Where each of `wanted` windows starts and ends; together they cover `size`."""
    return [(i * size // wanted, -(-(i + 1) * size // wanted)) for i in range(wanted)]


def average_to(maps, size: tuple[int, int]):
    """Means over windows.

    Args:
        maps: (batch, height, width, channels).
        size: wanted (height, width).

    Returns:
        (batch, *size, channels).
    """
    rows, columns = (
        _averages(have, want) for have, want in zip(maps.shape[1:3], size, strict=True)
    )
    return ops.einsum("oh,bhwc,pw->bopc", rows, maps, columns)


@keras.saving.register_keras_serializable("limbeck")
class AverageTo(keras.layers.Layer):
    """`average_to` as a layer; computes in float32.

    Args:
        size: wanted (height, width), at most that of the maps.
    """

    def __init__(self, size: tuple[int, int], name: str | None = None):
        super().__init__(name=name, dtype="float32")
        self.size = tuple(size)

    def call(self, maps):
        return average_to(maps, self.size)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.size, input_shape[3])

    def get_config(self):
        return {"size": self.size, "name": self.name}


def max_to(maps, size: tuple[int, int]):
    """Maxima over windows; shapes as for `average_to`."""
    for axis, want in enumerate(size, start=1):
        have = maps.shape[axis]
        if have % want == 0:
            shape = (-1, *maps.shape[1:axis], want, have // want)
            split = ops.reshape(maps, (*shape, *maps.shape[axis + 1 :]))
        else:
            split = ops.take(maps, _indices(have, want), axis=axis)
        maps = ops.max(split, axis=axis + 1)
    return maps


def _averages(size, wanted):
    """(wanted, size) matrix whose rows average one window each."""
    matrix = np.zeros((wanted, size), "float32")
    for row, (start, stop) in zip(matrix, windows(size, wanted), strict=True):
        row[start:stop] = 1 / (stop - start)
    return matrix


def _indices(size, wanted):
    """(wanted, widest) indices; a narrower window repeats its last one."""
    spans = np.array(windows(size, wanted))
    widest = (spans[:, 1] - spans[:, 0]).max()
    return np.minimum(spans[:, :1] + np.arange(widest), spans[:, 1:] - 1)
