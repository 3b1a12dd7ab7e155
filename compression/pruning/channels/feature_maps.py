"""Saliencies from what images make of a net's channels; no labels are needed."""

from collections.abc import Iterable

import keras
import numpy as np
from keras import Layer, layers, ops

from compression.graph import Source
from compression.pruning.channels.batches import images_in
from compression.pruning.channels.groups import Coupling, Part
from compression.pruning.channels.rules import READ
from compression.pruning.channels.scores import relative, zeros
from compression.pruning.channels.walk import Walk

# What may come between a layer and the map that is said to be its own.
NORMS = (
    layers.BatchNormalization,
    layers.GroupNormalization,
    layers.LayerNormalization,
    layers.RMSNormalization,
)
ACTIVATIONS = (
    layers.Activation,
    layers.ELU,
    layers.LeakyReLU,
    layers.PReLU,
    layers.ReLU,
)
ACTIVATION_OPERATIONS = {
    "Celu", "Elu", "Gelu", "HardSigmoid", "HardSilu", "HardTanh", "LeakyRelu", "Relu",
    "Relu6", "Selu", "Sigmoid", "Silu", "Softplus", "Tanh",
}  # fmt: skip


def made_maps(coupling: Coupling) -> dict[Source, Part]:
    """The maps that layers make, and the layers.

    Of each call of a layer that makes channels: what it is after the norm and the
    activation behind it, as far as nothing else reads what is between.
    """
    graph, found = coupling.graph, {}
    makers = {id(p.layer): p for p in coupling.parts.values() if p.made is not None}
    for at, call in enumerate(graph.calls):
        if (part := makers.get(id(call.operation))) is None:
            continue
        source = Source(at)
        while source not in graph.outputs:
            uses = graph.consumers[source]
            if len(uses) != 1 or not _goes_on(graph.calls[uses[0][0]].operation):
                break
            source = Source(uses[0][0])
        found[source] = part
    return found


def _goes_on(operation):
    if isinstance(operation, Layer):
        return isinstance(operation, NORMS + ACTIVATIONS)
    return type(operation).__name__ in ACTIVATION_OPERATIONS


def hrank(model: keras.Model, coupling: Coupling, data: Iterable | None) -> np.ndarray:
    """The mean rank of a channel's map (Lin et al.), by unit.

    A map without two axes is one row: its rank is 1 unless it is all zeros.
    """
    maps, by_layer = made_maps(coupling), {}
    for images in images_in("hrank", data, model):
        walk = Walk(coupling.graph, model, [images])
        for at in range(len(coupling.graph.calls)):
            [[tensor, *_]] = walk.step(at)
            if (part := maps.get(Source(at))) is None:
                continue
            units = coupling.units_of(coupling.tensors[Source(at)])
            scores = by_layer.setdefault(part.path, zeros(coupling))
            np.add.at(scores, units, _ranks(tensor).sum(0))
    return relative(by_layer, coupling, lambda group: group.makers)


def _ranks(tensor):
    """(images, channels)."""
    maps = np.moveaxis(_numbers(tensor), -1, 1)
    rows = maps.shape[2] if maps.ndim > 3 else 1
    return np.linalg.matrix_rank(maps.reshape(*maps.shape[:2], rows, -1))


def wanda(model: keras.Model, coupling: Coupling, data: Iterable | None) -> np.ndarray:
    """The norm of the weights that read a unit, each times that of what it reads.

    Wanda's |weight| times the norm of its input (eq. 1 of Sun et al.), over all the
    weights that read the unit: of a dense layer it is the norm of what vanishes from
    the outputs. Norms of inputs are over images and positions.
    """
    readers, squares = {}, {}
    for part, axis in coupling.axes(READ):
        readers.setdefault(id(part.layer), (part, axis))
    for images in images_in("wanda", data, model):
        walk = Walk(coupling.graph, model, [images])
        for at, call in enumerate(coupling.graph.calls):
            if id(call.operation) in readers:
                [inputs] = walk.inputs(at)
                inputs = _numbers(inputs).astype("float64")
                found = (inputs**2).sum(tuple(range(inputs.ndim - 1)))
                key = id(call.operation)
                squares[key] = squares.get(key, 0) + found
            walk.step(at)
    by_layer = {}
    for key, (part, axis) in readers.items():
        inputs = squares[key].reshape(-1, len(axis.channels)).T  # (channels, groups)
        read = _squared_weights(axis, inputs.shape[1]) * inputs
        scores = zeros(coupling)
        np.add.at(scores, coupling.units_of(axis.channels), read.sum(1))
        by_layer[part.path] = np.sqrt(scores)
    return relative(by_layer, coupling, lambda group: group.readers)


def _squared_weights(axis, groups):
    """(channels, groups): of all weights that read a channel in one of the groups."""
    kernel = ops.convert_to_numpy(axis.variable).astype("float64")
    rows = np.moveaxis(kernel, axis.axis, 0)  # (channels, ..., outputs)
    by_group = rows.reshape(len(rows), -1, groups, rows.shape[-1] // groups)
    return (by_group**2).sum((1, 3))


def _numbers(tensor):
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))
