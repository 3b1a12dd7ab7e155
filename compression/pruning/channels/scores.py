"""Numbers by unit: summed over channels, and made comparable between groups."""

from collections.abc import Callable, Mapping

import numpy as np

from compression.pruning.channels.groups import Coupling, Group


def zeros(coupling: Coupling) -> np.ndarray:
    """A zero for every unit."""
    return np.zeros(len(coupling.roots))


def nothing(coupling: Coupling) -> np.ndarray:
    """For every unit NaN: no score."""
    return np.full(len(coupling.roots), np.nan)


def made(scores: np.ndarray, coupling: Coupling) -> np.ndarray:
    """`scores`, an array by unit, of the units that layers make; NaN of others."""
    found = nothing(coupling)
    for group in coupling.groups:
        found[group.units] = scores[group.units]
    return found


def relative(
    by_layer: Mapping[str, np.ndarray],
    coupling: Coupling,
    layers_of: Callable[[Group], tuple[str, ...]],
) -> np.ndarray:
    """Scores of layers, divided by their mean over a group, averaged over the layers.

    Args:
        by_layer: by path: scores, an array by unit.
        layers_of: the layers of a group that count; those without scores do not.

    Returns:
        By unit; NaN where no layer counts.
    """
    sums, counts = zeros(coupling), zeros(coupling)
    for group in coupling.groups:
        for layer in layers_of(group):
            if layer not in by_layer:
                continue
            scores = by_layer[layer][group.units]
            sums[group.units] += scores / (scores.mean() or 1)
            counts[group.units] += 1
    return np.divide(sums, counts, out=nothing(coupling), where=counts > 0)
