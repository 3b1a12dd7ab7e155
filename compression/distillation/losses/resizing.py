"""Maps and images of one size brought to another, by operations that XLA compiles.

TensorFlow's own kernels do the same, but XLA knows neither `ScaleAndTranslate` (an
antialiased resize) nor the gradient of `ResizeNearestNeighbor`.
"""

import keras
import numpy as np
from keras import ops


def nearest_to(maps, size: tuple[int, int]):
    """Each place takes the nearest value, as `keras.ops.image.resize` does.

    Args:
        maps: (batch, height, width, channels).
        size: wanted (height, width).

    Returns:
        (batch, *size, channels).
    """
    for axis, want in enumerate(size, start=1):
        have = maps.shape[axis]
        if have == want:
            continue
        if want % have == 0:  # sums as a gradient, where a gather has a scatter
            maps = ops.repeat(maps, want // have, axis=axis)
        else:
            middles = (2 * np.arange(want) + 1) * have // (2 * want)
            maps = ops.take(maps, middles.astype("int32"), axis=axis)
    return maps


@keras.saving.register_keras_serializable("limbeck")
class ResizeTo(keras.layers.Layer):
    """`keras.layers.Resizing(*size, antialias=True)` as two matrix products.

    Bilinear; where it makes images smaller, the weights are as wide as the pixels
    wanted. Gives float32, also for whole pixels. The images' size need not be known
    before they come.

    Args:
        size: wanted (height, width).
    """

    def __init__(self, size: tuple[int, int], name: str | None = None):
        super().__init__(name=name, dtype="float32")
        self.size = tuple(size)

    def call(self, images):
        have = ops.shape(images)[1:3]
        rows, columns = (_weights(*each) for each in zip(have, self.size, strict=True))
        return ops.einsum(
            "oh,bhwc,pw->bopc", rows, ops.cast(images, "float32"), columns
        )

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.size, input_shape[3])

    def get_config(self):
        return {"size": self.size, "name": self.name}


def _weights(have, want):
    """(want, have) matrix of triangles around the wanted pixels' middles.

    `have` may be a tensor: the size of images that is not known before they come.
    """
    step = ops.cast(have, "float32") / want
    width = ops.maximum(step, 1.0)
    middles = (ops.arange(want, dtype="float32") + 0.5) * step
    pixels = ops.arange(have, dtype="float32") + 0.5
    distance = ops.abs(middles[:, None] - pixels[None]) / width
    weights = ops.maximum(1.0 - distance, 0.0)
    return weights / ops.sum(weights, axis=1, keepdims=True)
