"""Masks: which weights stay (1) and which are zero (0)."""

from collections.abc import Sequence

import numpy as np

SCOPES = ("layer", "global")


def magnitude_masks(
    weights: Sequence[np.ndarray], sparsity: float, *, scope: str = "global"
) -> list[np.ndarray]:
    """Masks that drop the weights of least magnitude, exactly as many as asked.

    Among equal magnitudes the first ones go, so weights that are zero already are
    always the first to be dropped.

    Args:
        weights: arrays of any shapes.
        sparsity: fraction of zeros, 0 <= sparsity < 1.
        scope: "layer": that fraction of every array; "global": of all arrays
            together, small weights going first wherever they are. The number of zeros
            is the nearest integer.

    Returns:
        One array of zeros and ones for each array, of its shape and dtype.

    Raises:
        ValueError: `sparsity` is outside [0, 1), or there is no such scope.
    """
    if not 0 <= sparsity < 1:
        raise ValueError(f"sparsity must be in [0, 1), got {sparsity}")
    if scope == "layer":
        return [_mask(np.abs(w), sparsity) for w in weights]
    if scope != "global":
        raise ValueError(f"no scope called {scope!r}; choose from {', '.join(SCOPES)}")
    together = _mask(np.concatenate([np.abs(w).ravel() for w in weights]), sparsity)
    cuts = np.cumsum([w.size for w in weights])[:-1]
    return [
        part.reshape(w.shape).astype(w.dtype)
        for part, w in zip(np.split(together, cuts), weights, strict=True)
    ]


def _mask(saliency, sparsity):
    """Ones, but zero for the `sparsity` of least `saliency`; ties: the first go."""
    zeros = round(sparsity * saliency.size)
    mask = np.ones(saliency.size, saliency.dtype)
    if zeros:
        flat = saliency.ravel()
        threshold = np.partition(flat, zeros - 1)[zeros - 1]
        below = flat < threshold
        ties = np.flatnonzero(flat == threshold)[: zeros - np.count_nonzero(below)]
        mask[below] = 0
        mask[ties] = 0
    return mask.reshape(saliency.shape)
