"""How weights are written down: which of a model's variables count, and int8 codes.

The int8 form is symmetric and per output channel: real = scale * code, section 3 of
Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference"
(2018), https://arxiv.org/abs/1806.08342. Codes are -127 to 127, so zero is code zero
and a pruned net stays pruned.
"""

import keras
import numpy as np
from keras import layers

LARGEST_CODE = 127


def learned_variables(model: keras.Model) -> list[keras.Variable]:
    """What papers count as parameters: kernels, biases, normalisation scale and shift.

    Everything that a layer can train, frozen or not, once each; moving statistics and
    seeds are not among them.
    """
    found = {}
    for layer in model._flatten_layers():
        # Public `trainable_variables` is empty while a layer is frozen.
        for variable in layer._trainable_variables:
            found[id(variable)] = variable
    return list(found.values())


def channel_axes(model: keras.Model) -> dict[int, tuple[int, ...]]:
    """Which axes of a kernel number its output channels, by `id` of the variable.

    Only kernels whose output channels are not the last axis are listed.
    """
    axes = {}
    for layer in model._flatten_layers():
        if isinstance(layer, (layers.DepthwiseConv1D, layers.DepthwiseConv2D)):
            axes[id(layer.kernel)] = (-2, -1)  # (..., channels in, multiplier)
        elif isinstance(layer, (layers.SeparableConv1D, layers.SeparableConv2D)):
            axes[id(layer.depthwise_kernel)] = (-2, -1)
        elif isinstance(
            layer,
            (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose),
        ):
            axes[id(layer.kernel)] = (-2,)  # (..., channels out, channels in)
    return axes


def symmetric_codes(
    weights: np.ndarray, axes: tuple[int, ...] = (-1,)
) -> tuple[np.ndarray, np.ndarray]:
    """int8 codes and float32 scales with |weights - scales * codes| <= scales / 2.

    Args:
        weights: finite, any shape.
        axes: the axes that keep a scale of their own.

    Returns:
        (codes, scales): codes of the shape of `weights`; scales with length one along
        every axis but `axes`. A channel of zeros has scale one.
    """
    weights = np.asarray(weights, np.float32)
    kept = {axis % weights.ndim for axis in axes}
    reduced = tuple(i for i in range(weights.ndim) if i not in kept)
    scales = np.abs(weights).max(axis=reduced, keepdims=True) / LARGEST_CODE
    # Runtimes flush numbers below the smallest normal one to zero; so do we.
    scales = np.where(scales < np.finfo(np.float32).tiny, 1.0, scales)
    scales = scales.astype(np.float32)
    codes = np.rint(weights / scales).clip(-LARGEST_CODE, LARGEST_CODE)
    return codes.astype(np.int8), scales
