"""Masks: which weights stay (1) and which are zero (0)."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from compression.arguments import require_number, shown
from compression.pruning.patterns import LAST, Element, Pattern

SCOPES = ("layer", "global")
AUTO = "auto"
NEARLY_NOTHING = 0.01  # of a kernel's weights
EXACT = 1e-6  # a fraction such as 2/3 may be rounded so far


def magnitude_masks(
    weights: Sequence[np.ndarray],
    sparsity: float,
    *,
    scope: str = "global",
    floor: float | str | None = AUTO,
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
            the same answer to every image, whatever the others keep. "auto": 1 %, or
            a tenth of what stays of all where that is less: 1 % of every array is all
            that there is at a sparsity of 99 %. None: arrays may be emptied.

    Returns:
        One array of zeros and ones for each array, of its shape and dtype.

    Raises:
        ValueError: `sparsity` is outside [0, 1), `floor` outside [0, 1], there is no
            such scope, or a weight is not finite.
    """
    if isinstance(weights, np.ndarray) or not isinstance(weights, Iterable):
        raise ValueError(f"weights must be a list of arrays, got {shown(weights)}")
    weights = [np.asarray(w) for w in weights]
    for number, array in enumerate(weights):
        if not np.isfinite(array).all():
            raise ValueError(f"weights[{number}] are not all finite")
    # The magnitude of the least integer is none of its own kind.
    sizes = [np.abs(w.astype("int64") if w.dtype.kind == "i" else w) for w in weights]
    found = masks(sizes, sparsity, scope=scope, floor=floor)
    return [mask.astype(w.dtype) for mask, w in zip(found, weights, strict=True)]


def masks(  # noqa: PLR0913, all but two by keyword
    scores: Sequence[np.ndarray],
    sparsity: float,
    *,
    pattern: Pattern = Element(),  # noqa: B008, nothing can change it
    outputs: Sequence[tuple[int, ...]] | None = None,
    scope: str = "global",
    floor: float | str | None = AUTO,
) -> list[np.ndarray]:
    """Masks that drop the units of a pattern that have the least mean score.

    As `magnitude_masks` otherwise: the first of equals go, and whole units are counted
    where that speaks of weights. Where units differ in size, as blocks at the edges
    do, the number of zeros is the nearest that can be had in the order of the scores.

    Args:
        scores: an array for each kernel, of its shape; high ones stay.
        sparsity: fraction of zeros, 0 <= sparsity < 1. With "n:m" at most 1 - n/m,
            at which all groups are in the pattern; at half of it, half of them are.
        pattern: what becomes zero together.
        outputs: for each kernel the axes of its output channels; None: the last.
        scope: "layer" or "global".
        floor: fraction of every kernel's units that stays at least, or "auto"; at
            least one stays unless None. "n:m" keeps n weights of m and needs none.

    Raises:
        ValueError: a value is outside its range, or there is no such scope.
    """
    require_number("sparsity", sparsity)
    if not 0 <= sparsity < 1:
        raise ValueError(f"sparsity must be in [0, 1), got {sparsity}")
    require_floor(floor)
    if scope not in SCOPES:
        raise ValueError(f"no scope called {scope!r}; choose from {', '.join(SCOPES)}")
    require_reachable(pattern, sparsity)
    fraction = sparsity / pattern.complete
    floor = floor_at(fraction, floor)
    if pattern.complete < 1:
        floor = None
        if math.isclose(sparsity, pattern.complete, abs_tol=EXACT):
            fraction = 1.0
    if not len(scores):
        return []
    outputs = outputs or [LAST] * len(scores)
    found = [_united(s, pattern, axes) for s, axes in zip(scores, outputs, strict=True)]
    units = [(means, sizes) for _, means, sizes in found]
    if scope == "layer":
        kept = [_kept_of_one(*each, fraction, floor) for each in units]
    else:
        kept = _kept_of_all(units, fraction, floor)
    return [
        _spread(mask, index).reshape(s.shape).astype(s.dtype)
        for mask, (index, _, _), s in zip(kept, found, scores, strict=True)
    ]


def require_reachable(pattern: Pattern, sparsity: float, *, exactly: bool = False):
    """Raises ValueError where a pattern has not that many zeros at most.

    With `exactly`, also where it is not complete at that sparsity, and not 0 either.
    """
    complete = pattern.complete
    if complete == 1 or math.isclose(sparsity, complete, abs_tol=EXACT):
        return
    if sparsity > complete or (exactly and sparsity > 0):
        raise ValueError(
            f"pattern {pattern} has a sparsity of {complete:.7g}, got {sparsity}: let "
            f"it end at {complete:.7g}, or choose another pattern"
        )


def least_kept(size: int, floor: float | None) -> int:
    """How many of `size` weights are `floor` of them, at least one.

    Rounded down: the floors of all arrays together are no more than `floor` of all.
    None at all where `floor` is None.
    """
    if floor is None:
        return 0
    return max(1, math.floor(floor * size + 1e-9))  # (1 - 0.9) * 500 is 50, too


def floor_at(sparsity: float, floor: float | str | None) -> float | None:
    """The fraction that `floor` stands for at a sparsity."""
    return min(NEARLY_NOTHING, (1 - sparsity) / 10) if floor == AUTO else floor


def require_floor(floor: float | str | None) -> None:
    """Raises ValueError unless `floor` is a fraction, "auto" or None."""
    if floor is None or floor == AUTO:
        return
    require_number("floor", floor, kind='in [0, 1], "auto" or None')
    if not 0 <= floor <= 1:
        raise ValueError(f'floor must be in [0, 1], "auto" or None, got {floor!r}')


def _united(scores, pattern, axes):
    """For each weight its unit (None: itself), for each unit its mean and size.

    Sizes are None where a unit is a weight.
    """
    if isinstance(pattern, Element):
        return None, scores.ravel(), None
    index = pattern.units(scores, axes)
    part = index >= 0
    sizes = np.bincount(index[part])
    sums = np.bincount(index[part], weights=scores.ravel()[part])
    return index, sums / sizes, sizes


def _spread(kept, index):
    """The mask of the weights, given that of their units."""
    if index is None:
        return kept
    return np.where(index >= 0, kept[index], 1)


def _kept_of_one(means, sizes, fraction, floor):
    most = means.size - (0 if floor is None else 1)
    zeros = fraction * _weights(means, sizes)
    return _mask(means, min(_units(means, sizes, zeros), most))


def _kept_of_all(units, fraction, floor):
    """Masks of all kernels: what the floor keeps of each is out of the competition."""
    counts = [each.size for each, _ in units]
    ends = np.cumsum(counts)[:-1]
    means = np.concatenate([each for each, _ in units])
    floor = None if floor is None else min(floor, 1 - fraction)
    least = [least_kept(count, floor) for count in counts]
    sizes = None
    if units[0][1] is not None:
        sizes = np.concatenate([each for _, each in units])
    zeros = fraction * _weights(means, sizes)
    if sizes is None:  # mostly all keep their floor by themselves: half of the work
        found = np.split(_mask(means, _units(means, sizes, zeros)), ends)
        kept = map(np.count_nonzero, found)
        if all(count >= most for count, most in zip(kept, least, strict=True)):
            return found
    held = [
        _mask(each, count - most)
        for (each, _), count, most in zip(units, counts, least, strict=True)
    ]
    free = np.flatnonzero(np.concatenate(held) == 0)
    mask = np.ones(means.size, means.dtype)
    go = _units(means[free], None if sizes is None else sizes[free], zeros)
    mask[free] = _mask(means[free], min(go, free.size))
    return np.split(mask, ends)


def _weights(means, sizes):
    """How many weights the units have together."""
    return means.size if sizes is None else sizes.sum()


def _units(means, sizes, zeros):
    """How many units of least mean have `zeros` weights together, or next to it."""
    if sizes is None:
        return round(zeros)
    if sizes.size == 0 or (sizes == sizes[0]).all():
        return round(zeros / sizes[0]) if sizes.size else 0
    together = np.cumsum(sizes[np.argsort(means, kind="stable")])
    return int(np.argmin(np.abs(np.append(0, together) - zeros)))


def _mask(scores, zeros):
    """Ones, but zero for the `zeros` of least score; ties: the first go."""
    mask = np.ones(scores.size, scores.dtype)
    if zeros > 0:
        threshold = np.partition(scores, zeros - 1)[zeros - 1]
        below = scores < threshold
        ties = np.flatnonzero(scores == threshold)
        mask[below] = 0
        mask[ties[: zeros - np.count_nonzero(below)]] = 0
    return mask
