"""What a state dict of PyTorch's must be: names without wrappers, finite numbers."""

from collections.abc import Mapping
from typing import Any

import numpy as np

# What DataParallel, torch.compile and a wrapping module put before every name.
PREFIXES = ("module.", "_orig_mod.", "model.")


def renamed(state: Mapping[str, Any], source: str) -> dict[str, Any]:
    """`state` without the prefixes that all its names have.

    Args:
        state: by name.
        source: what a refusal calls it.

    Raises:
        ValueError: a name is no text, or two are one name but for their prefix.
    """
    for name in state:
        if not isinstance(name, str):
            raise ValueError(
                f"{source} is no state dict, nothing was loaded: the name {name!r} is "
                f"a {type(name).__name__}, not text"
            )
    seen = {}
    for name in state:
        bare = _bare(name)
        if bare in seen:
            raise ValueError(
                f"{source} has {bare} twice, once as {max(name, seen[bare], key=len)}: "
                "nothing was loaded"
            )
        seen[bare] = name
    found = dict(state)
    while found and (prefix := _common_prefix(found)):
        found = {name.removeprefix(prefix): found[name] for name in found}
    return found


def problem(array: np.ndarray, dtype: str, *, variance: bool = False) -> str:
    """What keeps `array` from being the value of a variable, "" if nothing does.

    Args:
        array: any.
        dtype: the variable's, a floating-point one.
        variance: the values must not be negative.
    """
    # To NumPy, bfloat16 is a foreign type and no float.
    if array.dtype.kind != "f" and array.dtype.name != "bfloat16":
        return f"holds {array.dtype} numbers, not floating-point ones"
    with np.errstate(over="ignore"):
        values = array.astype(dtype)
    if not np.isfinite(values).all():
        nan, infinite = np.isnan(array).sum(), np.isinf(array).sum()
        beyond = np.isinf(values).sum() - infinite
        return (
            f"is not finite in {dtype}: of {array.size} numbers {nan} are NaN, "
            f"{infinite} infinite, {beyond} beyond its range"
        )
    if variance and (count := np.count_nonzero(array < 0)):
        return f"has negative variances, {count} of {array.size}"
    return ""


def _bare(name):
    while prefix := _common_prefix([name]):
        name = name.removeprefix(prefix)
    return name


def _common_prefix(names):
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in names):
            return prefix
    return ""
