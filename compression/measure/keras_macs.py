"""A Keras model layer by layer: what feeds each, its parameters, its MACs.

The published convention (torchvision's and fvcore's): convolutions and dense layers
count one for each product of a weight and an activation; biases, batch norm,
activations, pooling and sums count nothing.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import keras
from keras import layers

from compression.weights import learned_variables

# Layers whose weights of rank two or more are not multiplied by channels: no MACs.
ELEMENTWISE = (
    layers.BatchNormalization,
    layers.Embedding,
    layers.GroupNormalization,
    layers.LayerNormalization,
    layers.Normalization,
    layers.PReLU,
)
CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)
TRANSPOSED = (
    layers.Conv1DTranspose,
    layers.Conv2DTranspose,
    layers.Conv3DTranspose,
)
# `keras.ops` that multiply activations and are no layers.
MULTIPLYING_OPERATIONS = {
    "Conv", "ConvTranspose", "DepthwiseConv", "Dot", "Einsum", "Inner", "Matmul",
    "SeparableConv", "Tensordot", "Vdot",
}  # fmt: skip


class LayerCall(NamedTuple):
    """One call of a layer in a model's graph.

    Attributes:
        layer: the layer, or the operation of `keras.ops`; an `InputLayer` for what
            goes into the model.
        output_shape: with the batch axis; of the first output where there are several.
        parameters: learned weights that no earlier call has counted.
        macs: multiply-accumulates of one image.
        fed_by: places in the list of the calls whose outputs go in.
    """

    layer: keras.Operation
    output_shape: tuple[int | None, ...]
    parameters: int
    macs: int
    fed_by: tuple[int, ...]


def layer_calls(model: keras.Model) -> list[LayerCall]:
    """The calls of a built functional model, each after those that feed it.

    Branches come one after the other, in the order in which they are joined. A layer
    called twice has two rows, and its parameters in the first; of models inside the
    model the layers are listed. The sums are the model's parameters and MACs.

    Raises:
        ValueError: as for `macs`.
    """
    uncounted = {id(variable): variable for variable in learned_variables(model)}
    rows = []
    for call in _calls(model):
        mine = (
            learned_variables(call.operation)
            if isinstance(call.operation, keras.Layer)
            else []
        )
        new = [uncounted.pop(id(variable), None) for variable in mine]
        parameters = sum(math.prod(v.shape) for v in new if v is not None)
        rows.append(
            LayerCall(
                call.operation,
                tuple(call.output_shape),
                parameters,
                _macs_of_call(call),
                call.fed_by,
            )
        )
    return rows


def keras_macs(model: keras.Model) -> int:
    """Multiply-accumulates of one image through a built functional model.

    A layer called twice counts twice; models inside the model are walked too.

    A layer of a kind unknown here may say itself what it costs: a method
    `count_macs(input_shape, output_shape) -> int`, shapes with the batch axis.

    Raises:
        ValueError: the model has no graph, leaves an image size open, or has a layer
            with kernels whose MACs nobody knows.
    """
    return sum(_macs_of_call(call) for call in _calls(model))


class _Call(NamedTuple):
    operation: keras.Operation
    input_shape: tuple[int | None, ...] | None  # None: it is an input of the model
    output_shape: tuple[int | None, ...]
    fed_by: tuple[int, ...]


def _calls(model) -> list[_Call]:
    calls = []
    _walk(_graph_of(model), None, calls)
    return calls


def _walk(graph, fed_by, calls):
    """Appends the calls of a graph to `calls`; returns the places of its outputs.

    `fed_by` has the places of what feeds a graph inside another, None for the
    outermost, whose inputs have places of their own.
    """
    places = {}  # of the call that puts out a tensor, by the tensor's id
    if fed_by is not None:
        places = dict(zip(map(id, graph.inputs), fed_by, strict=True))
    for node in _in_order(graph):
        if node.is_input and fed_by is not None:
            continue
        before = tuple(places[id(tensor)] for tensor in node.input_tensors)
        if isinstance(node.operation, keras.Model):
            after = _walk(_graph_of(node.operation), before, calls)
        else:
            input_shape = None if node.is_input else node.input_tensors[0].shape
            output_shape = node.output_tensors[0].shape
            calls.append(_Call(node.operation, input_shape, output_shape, before))
            after = [len(calls) - 1] * len(node.output_tensors)
        places |= zip(map(id, node.output_tensors), after, strict=True)
    return [places[id(tensor)] for tensor in graph.outputs]


def _in_order(graph) -> Iterator:
    """The nodes of a graph, each after those that feed it, branch by branch."""
    nodes = [node for nodes in graph._nodes_by_depth.values() for node in nodes]
    maker = {id(tensor): node for node in nodes for tensor in node.output_tensors}
    waiting = [maker[id(tensor)] for tensor in reversed(graph.outputs)]
    done = set()
    while waiting:  # depth first; a recursion would be too deep for ResNet-152
        node = waiting[-1]
        before = [maker[id(tensor)] for tensor in node.input_tensors]
        missing = [other for other in before if id(other) not in done]
        if missing:
            waiting += reversed(missing)
            continue
        waiting.pop()
        if id(node) not in done:
            done.add(id(node))
            yield node


def _graph_of(model):
    if isinstance(model, keras.Sequential) and model.built:
        model = model._functional
    if getattr(model, "_nodes_by_depth", None) is None:
        raise ValueError(
            "MACs are counted on a built functional or Sequential model, got "
            f"{type(model).__name__} {getattr(model, 'name', '')!r} without a graph"
        )
    return model


def _macs_of_call(call):
    operation, input_shape, output_shape, _ = call
    if hasattr(operation, "count_macs"):
        return int(operation.count_macs(input_shape, output_shape))
    if not isinstance(operation, keras.Layer):
        if type(operation).__name__ in MULTIPLYING_OPERATIONS:
            raise ValueError(
                f"the MACs of operation {operation.name!r} "
                f"({type(operation).__name__}) are not known: put it into a layer "
                "with a method count_macs(input_shape, output_shape)"
            )
        return 0
    layer = operation
    if isinstance(layer, TRANSPOSED):
        return _positions(layer, input_shape) * math.prod(layer.kernel.shape)
    if isinstance(layer, SEPARABLE):
        kernels = (layer.depthwise_kernel.shape, layer.pointwise_kernel.shape)
        return _positions(layer, output_shape) * sum(map(math.prod, kernels))
    if isinstance(layer, CONVOLUTIONS + DEPTHWISE):
        # A grouped kernel holds channels-in / groups, so this is right for it too.
        return _positions(layer, output_shape) * math.prod(layer.kernel.shape)
    if isinstance(layer, layers.Dense):
        return _known(layer, output_shape[1:-1]) * math.prod(layer.kernel.shape)
    if isinstance(layer, ELEMENTWISE) or all(len(w.shape) < 2 for w in layer.weights):
        return 0
    raise ValueError(
        f"the MACs of layer {layer.name!r} ({type(layer).__name__}) are not known: "
        "give it a method count_macs(input_shape, output_shape)"
    )


def _positions(layer, shape):
    first = layer.data_format == "channels_first"
    return _known(layer, shape[2:] if first else shape[1:-1])


def _known(layer, sizes):
    if None in sizes:
        raise ValueError(
            f"layer {layer.name!r} sees images of open size {tuple(sizes)}: build the "
            "model with a fixed image size to count its MACs"
        )
    return math.prod(sizes)
