"""The layers that the losses learn, in plain float64 loops."""

import numpy as np
from keras import ops

EPSILON = 1e-5  # of batch normalisation in PyTorch, hence in the authors' releases


def array(weight):
    return np.array(ops.convert_to_numpy(weight), "float64")


def convolution(x, layer):
    """A built 2-D convolution, "same" padding, stride 1, without its activation."""
    kernel = array(layer.kernel)
    size = kernel.shape[0]
    edge = size // 2
    x = np.pad(np.asarray(x, "float64"), [(0, 0), (edge, edge), (edge, edge), (0, 0)])
    height, width = x.shape[1] - 2 * edge, x.shape[2] - 2 * edge
    out = np.zeros((len(x), height, width, kernel.shape[-1]))
    for i in range(size):
        for j in range(size):
            out += x[:, i : i + height, j : j + width] @ kernel[i, j]
    return out + (array(layer.bias) if layer.use_bias else 0)


def batch_norm(x, layer, training=False):
    axes = tuple(range(x.ndim - 1))
    mean = x.mean(axes) if training else array(layer.moving_mean)
    variance = x.var(axes) if training else array(layer.moving_variance)
    scaled = (x - mean) / np.sqrt(variance + EPSILON)
    return scaled * array(layer.gamma) + array(layer.beta)


def regressed(x, regressor, training=False):
    return batch_norm(convolution(x, regressor.project), regressor.norm, training)


def pooled(x, size, reduce):
    """Adaptive pooling: each window from floor(i h / n) to ceil((i + 1) h / n)."""
    (height, width), (rows, columns) = x.shape[1:3], size
    out = np.zeros((len(x), rows, columns, x.shape[-1]))
    for i in range(rows):
        for j in range(columns):
            top, bottom = i * height // rows, int(np.ceil((i + 1) * height / rows))
            left, right = j * width // columns, int(np.ceil((j + 1) * width / columns))
            out[:, i, j] = reduce(x[:, top:bottom, left:right], axis=(1, 2))
    return out
