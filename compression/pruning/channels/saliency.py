"""How much a net loses with a unit of channels: scores by which units are ranked."""

from collections.abc import Iterable

import keras
import numpy as np

from compression.logits import SQUASHING, ending
from compression.pruning.channels.groups import Coupling
from compression.pruning.channels.rules import ALONG, MADE


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
            "random": a number from 0 to 1, the baseline
            Norms and distances are divided by their mean over the group, then
            averaged over the layers: so groups can be compared. The others are
            comparable as they are.
        data: for "taylor": batches (images, integer labels).
        seed: for "random".

    Raises:
        ValueError: there is no such saliency; it lacks its data; or, for "taylor", the
            model has not one output, the logits.
    """
    require_saliency(name)
    if name == "taylor":
        return _taylor(model, coupling, data)
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
SALIENCIES = (*MEASURES, "batch_norm", "taylor", "random")


def _of_kernels(measure, coupling):
    sums, counts = _zeros(coupling), _zeros(coupling)
    by_layer = {}
    for part, axis in coupling.axes(MADE):
        kernel = keras.ops.convert_to_numpy(axis.variable).astype("float64")
        filters = np.moveaxis(kernel, axis.axis, 0).reshape(len(axis.channels), -1)
        by_unit = _zeros(coupling)
        np.add.at(by_unit, coupling.units_of(axis.channels), measure(filters))
        by_layer[part.path] = by_unit
    for group in coupling.groups:
        for maker in group.makers:
            scores = by_layer[maker][group.units]
            sums[group.units] += scores / (scores.mean() or 1)
            counts[group.units] += 1
    return np.divide(sums, counts, out=_nothing(coupling), where=counts > 0)


def _batch_norm(coupling):
    sums, counts = _zeros(coupling), _zeros(coupling)
    for part, axis in coupling.axes(ALONG):
        is_norm = isinstance(part.layer, keras.layers.BatchNormalization)
        if is_norm and axis.variable is part.layer.gamma:
            units = coupling.units_of(axis.channels)
            gamma = keras.ops.convert_to_numpy(axis.variable)
            np.add.at(sums, units, np.abs(gamma))
            np.add.at(counts, units, 1)
    return np.divide(sums, counts, out=_nothing(coupling), where=counts > 0)


def _taylor(model, coupling, data):
    """(sum of gradient times weight)^2 over the scales, or filters, of a unit.

    Behind batch norm it is the scale and shift that tell what the channel gives to the
    loss (section 3.2); where there is none, the filter and its bias.
    """
    if data is None:
        raise ValueError("saliency 'taylor' needs data: batches (images, labels)")
    _require_logits(model)
    gates = _gates(coupling)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    variables = [axis.variable for axis in gates]
    total, batches = _zeros(coupling), 0
    for images, labels in data:
        gradients = _gradients(model, loss, variables, images, labels)
        change = _zeros(coupling)
        for axis, gradient in zip(gates, gradients, strict=True):
            product = gradient * keras.ops.convert_to_numpy(axis.variable)
            by_channel = np.moveaxis(product, axis.axis, 0)
            by_channel = by_channel.reshape(len(axis.channels), -1).sum(1)
            np.add.at(change, coupling.units_of(axis.channels), by_channel)
        total += change**2
        batches += 1
    if not batches:
        raise ValueError("saliency 'taylor' needs data, got no batch")
    scores = _nothing(coupling)
    for group in coupling.groups:
        scores[group.units] = total[group.units] / batches
    return scores


def _require_logits(model):
    if len(model.outputs) != 1:
        raise ValueError(
            f"saliency 'taylor' needs one output, the logits: {model.name!r} has "
            f"{len(model.outputs)}"
        )
    found = ending(model)
    if found.kind in SQUASHING:
        raise ValueError(
            f"saliency 'taylor' needs logits: {model.name!r} ends in a {found.word} "
            f"(layer {found.layer.name!r}); plan with as_logits(model), the plan "
            "suits both"
        )


def _gates(coupling):
    """The weights whose change to zero is the channel's."""
    scales, filters = [], []
    for part, axis in coupling.axes():
        if isinstance(part.layer, keras.layers.BatchNormalization):
            if axis.variable is part.layer.gamma or axis.variable is part.layer.beta:
                scales.append(axis)
        elif axis.role == MADE or (part.made is not None and axis.role == ALONG):
            filters.append(axis)
    scaled = np.zeros(len(coupling.roots), bool)
    for axis in scales:
        scaled[coupling.units_of(axis.channels)] = True
    # A layer whose channels are scaled in part only: all of its filters count.
    bare = [a for a in filters if not scaled[coupling.units_of(a.channels)].all()]
    return scales + bare


def _gradients(model, loss, variables, images, labels):
    if keras.backend.backend() != "tensorflow":
        raise ValueError("saliency 'taylor' runs on the TensorFlow backend only")
    import tensorflow as tf  # only where it is the backend: the room is Keras's

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([variable.value for variable in variables])
        value = loss(labels, model(images, training=False))
    gradients = tape.gradient(
        value,
        [variable.value for variable in variables],
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    return [tf.convert_to_tensor(gradient).numpy() for gradient in gradients]


def _zeros(coupling):
    return np.zeros(len(coupling.roots))


def _nothing(coupling):
    return np.full(len(coupling.roots), np.nan)
