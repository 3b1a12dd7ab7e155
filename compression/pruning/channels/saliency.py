"""How much a net loses with a unit of channels: scores by which units are ranked."""

from collections.abc import Iterable

import keras
import numpy as np

from compression.pruning.channels.feature_maps import hrank, wanda
from compression.pruning.channels.groups import Coupling
from compression.pruning.channels.loss_changes import fisher, taylor
from compression.pruning.channels.rules import ALONG, MADE
from compression.pruning.channels.scores import nothing, relative, zeros


def saliency(
    name: str,
    model: keras.Model,
    coupling: Coupling,
    *,
    data: Iterable | None = None,
    seed: int = 0,
) -> np.ndarray:
    """A score for every unit, an array by unit; NaN for those that have none.

    Args:
        name: what is measured of each layer that makes the unit's channels:
            "l1", "l2": the norm of what makes the channel (Li et al., "Pruning
                filters for efficient ConvNets", 2017, https://arxiv.org/abs/1608.08710)
            "fpgm": the distances to all other channels of the layer (He et al.,
                "Filter pruning via geometric median", 2019,
                https://arxiv.org/abs/1811.00250)
            "batch_norm": the size of batch norm's scale (Liu et al., "Network
                slimming", 2017, https://arxiv.org/abs/1708.06519); channels without
                batch norm have no score
            "taylor": the square of what the loss changes to first order when the
                channel becomes zero (Molchanov et al., "Importance estimation",
                2019, https://arxiv.org/abs/1906.10771)
            "fisher": the mean of that square over examples, with a gate on the
                channel (Theis et al., "Faster gaze prediction with dense networks and
                Fisher pruning", 2018, https://arxiv.org/abs/1801.05787;
                Liu et al., "Group Fisher pruning", 2021,
                https://arxiv.org/abs/2108.00708, for coupled channels)
            "hrank": the mean rank of its maps (Lin et al., "HRank", 2020,
                https://arxiv.org/abs/2002.10179), taken behind batch norm and
                activation
            "wanda": of what reads the channel, the norm of the weights times that of
                the inputs (Sun et al., "A simple and effective pruning approach",
                2023, https://arxiv.org/abs/2306.11695; of channels: An et al.,
                "Fluctuation-based adaptive structured pruning", 2024,
                https://arxiv.org/abs/2312.11983, where it is Wanda-sp); channels that
                no weight reads have no score
            "random": a number from 0 to 1, the baseline
            Norms, distances, ranks and "wanda" are divided by their mean over the
            group, then averaged over the layers: so groups can be compared. The
            others are comparable as they are.
        data: for "hrank" and "wanda": batches of images; for "taylor" and "fisher":
            batches (images, integer labels).
        seed: for "random".

    Raises:
        ValueError: there is no such saliency; it lacks its data; or, for "taylor" and
            "fisher", the model has not one output, the logits.
    """
    require_saliency(name)
    if name in OF_DATA:
        return OF_DATA[name](model, coupling, data)
    if name == "batch_norm":
        return _batch_norm(coupling)
    if name == "random":
        return np.random.default_rng(seed).uniform(size=len(coupling.roots))
    return _of_kernels(MEASURES[name], coupling)


def require_saliency(name: str) -> None:
    """Raises ValueError unless there is such a saliency."""
    if name not in SALIENCIES:
        raise ValueError(
            f"no saliency called {name!r}; choose from {', '.join(SALIENCIES)}"
        )


def _l1(filters):
    return np.abs(filters).sum(1)


def _l2(filters):
    return np.sqrt((filters**2).sum(1))


def _fpgm(filters):
    """Sum of the distances to all the others (eq. 4 of the paper)."""
    squares = (filters**2).sum(1)
    distances = squares[:, None] + squares - 2 * filters @ filters.T
    return np.sqrt(np.maximum(distances, 0)).sum(1)


MEASURES = {"l1": _l1, "l2": _l2, "fpgm": _fpgm}
OF_DATA = {"hrank": hrank, "wanda": wanda, "taylor": taylor, "fisher": fisher}
LABELLED = ("taylor", "fisher")
OF_LABELS = ("taylor", "fisher")  # among them: of logits, too
SALIENCIES = (*MEASURES, "batch_norm", *OF_DATA, "random")


def _of_kernels(measure, coupling):
    by_layer = {}
    for part, axis in coupling.axes(MADE):
        kernel = keras.ops.convert_to_numpy(axis.variable).astype("float64")
        filters = np.moveaxis(kernel, axis.axis, 0).reshape(len(axis.channels), -1)
        by_unit = zeros(coupling)
        np.add.at(by_unit, coupling.units_of(axis.channels), measure(filters))
        by_layer[part.path] = by_unit
    return relative(by_layer, coupling, lambda group: group.makers)


def _batch_norm(coupling):
    sums, counts = zeros(coupling), zeros(coupling)
    for part, axis in coupling.axes(ALONG):
        is_norm = isinstance(part.layer, keras.layers.BatchNormalization)
        if is_norm and axis.variable is part.layer.gamma:
            units = coupling.units_of(axis.channels)
            gamma = keras.ops.convert_to_numpy(axis.variable)
            np.add.at(sums, units, np.abs(gamma))
            np.add.at(counts, units, 1)
    return np.divide(sums, counts, out=nothing(coupling), where=counts > 0)
