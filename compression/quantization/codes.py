"""Weights as int8 codes: symmetric, a scale for each output channel.

real = scale * code, section 3 of Krishnamoorthi, "Quantizing deep convolutional
networks for efficient inference" (2018), https://arxiv.org/abs/1806.08342. Codes are
-127 to 127, so zero is code zero and a pruned net stays pruned.
"""

import numpy as np

LARGEST_CODE = 127


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
