"""The kernels with which nets look at pixels, for pictures of them."""

import keras
import numpy as np
from keras import layers, ops

from compression.graph import all_layers

MOST = 64  # filters of a net


def first_filters(model: keras.Model) -> np.ndarray | None:
    """The first filters of the first convolution, (height, width, channels, filters).

    None where no convolution sees the pixels' own channels.
    """
    channels = model.inputs[0].shape[-1] if model.inputs else None
    for layer in all_layers(model):
        if isinstance(layer, layers.Conv2D):
            kernel = ops.convert_to_numpy(layer.kernel).astype(np.float32)
            seen = kernel.shape[2] == channels and channels in (1, 3)
            return kernel[..., :MOST] if seen else None
    return None
