"""Which channel a weight writes to and which it reads, for any kind of kernel."""

import keras
import numpy as np
from keras import layers


def outputs_of_weights(layer: keras.Layer) -> np.ndarray:
    """The number of the output channel of each weight, of the kernel's shape.

    Args:
        layer: a built Conv2D, DepthwiseConv2D, Conv2DTranspose or Dense.
    """
    shape = tuple(layer.kernel.shape)
    if isinstance(layer, layers.DepthwiseConv2D):
        numbers = np.arange(shape[-2] * shape[-1]).reshape(shape[-2:])
    elif isinstance(layer, layers.Conv2DTranspose):
        numbers = np.arange(shape[-2])[:, None]
    else:
        numbers = np.arange(shape[-1])
    return np.broadcast_to(numbers, shape)


def inputs_of_weights(layer: keras.Layer, channels: int) -> np.ndarray:
    """Likewise the number of the input channel.

    Args:
        layer: as in `outputs_of_weights`.
        channels: of what comes in; to a dense layer behind a `Flatten` it comes with
            its channels last.
    """
    shape = tuple(layer.kernel.shape)
    if isinstance(layer, layers.DepthwiseConv2D):
        numbers = np.arange(shape[-2])[:, None]
    elif isinstance(layer, layers.Conv2DTranspose):
        numbers = np.arange(shape[-1])
    elif isinstance(layer, layers.Dense):
        numbers = (np.arange(shape[0]) % channels)[:, None]
    else:
        group = np.arange(shape[-1]) // (shape[-1] // layer.groups)
        numbers = np.arange(shape[-2])[:, None] + group * shape[-2]
    return np.broadcast_to(numbers, shape)


def largest(sizes: np.ndarray, numbers: np.ndarray, channels: int) -> np.ndarray:
    """The largest of `sizes` by channel, (channels,)."""
    found = np.zeros(channels)
    np.maximum.at(found, numbers.ravel(), sizes.ravel())
    return found
