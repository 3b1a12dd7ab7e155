"""Masks: which weights stay (1) and which are zero (0)."""

import math
from collections.abc import Sequence

import numpy as np

SCOPES = ("layer", "global")
FLOOR = 0.01


def magnitude_masks(
    weights: Sequence[np.ndarray],
    sparsity: float,
    *,
    scope: str = "global",
    floor: float = FLOOR,
) -> list[np.ndarray]:
    """Masks that drop the weights of least magnitude, exactly as many as asked.

    Among equal magnitudes the first ones go, so weights that are zero already are
    always the first to be dropped. No array is emptied: its largest weight stays,
    and `floor` of them.

    Args:
        weights: arrays of any shapes.
        sparsity: fraction of zeros, 0 <= sparsity < 1.
        scope: "layer": that fraction of every array; "global": of all arrays
            together, small weights going first wherever they are. The number of zeros
            is the nearest integer, unless arrays are so small that the one weight
            that stays in each is more than is left.
        floor: fraction of every array that stays at least, 0 to 1, its largest
            weights; 1 - `sparsity` where that is less. A layer without weights gives
            the same answer to every image, whatever the others keep.

    Returns:
        One array of zeros and ones for each array, of its shape and dtype.

    Raises:
        ValueError: `sparsity` is outside [0, 1), `floor` outside [0, 1], or there is
            no such scope.
    """
    if not 0 <= sparsity < 1:
        raise ValueError(f"sparsity must be in [0, 1), got {sparsity}")
    require_floor(floor)
    if scope not in SCOPES:
        raise ValueError(f"no scope called {scope!r}; choose from {', '.join(SCOPES)}")
    sizes = [np.abs(w).ravel() for w in weights]
    if scope == "layer":
        flat = [_mask(s, min(_zeros(sparsity, s.size), s.size - 1)) for s in sizes]
    else:
        flat = _together(sizes, sparsity, min(floor, 1 - sparsity))
    return [
        part.reshape(w.shape).astype(w.dtype)
        for part, w in zip(flat, weights, strict=True)
    ]


def least_kept(size: int, floor: float) -> int:
    """How many of `size` weights are `floor` of them, at least one.

    Rounded down: the floors of all arrays together are no more than `floor` of all.
    """
    return max(1, math.floor(floor * size + 1e-9))  # (1 - 0.9) * 500 is 50, too


def require_floor(floor: float) -> None:
    """Raises ValueError unless `floor` is a fraction."""
    if not 0 <= floor <= 1:
        raise ValueError(f"floor must be in [0, 1], got {floor}")


def _together(sizes, sparsity, floor):
    """Masks of all arrays: what the floor keeps of each is out of the competition."""
    size = np.concatenate(sizes)
    kept = [_mask(s, s.size - least_kept(s.size, floor)) for s in sizes]
    free = np.flatnonzero(np.concatenate(kept) == 0)
    mask = np.ones(size.size, size.dtype)
    mask[free] = _mask(size[free], min(_zeros(sparsity, size.size), free.size))
    return np.split(mask, np.cumsum([s.size for s in sizes])[:-1])


def _zeros(sparsity, size):
    return round(sparsity * size)


def _mask(saliency, zeros):
    """Ones, but zero for the `zeros` of least `saliency`; ties: the first go."""
    mask = np.ones(saliency.size, saliency.dtype)
    if zeros > 0:
        threshold = np.partition(saliency, zeros - 1)[zeros - 1]
        below = saliency < threshold
        ties = np.flatnonzero(saliency == threshold)
        mask[below] = 0
        mask[ties[: zeros - np.count_nonzero(below)]] = 0
    return mask
