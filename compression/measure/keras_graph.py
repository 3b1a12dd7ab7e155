"""Multiply-accumulates of a Keras model, layer by layer.

The published convention (torchvision's and fvcore's): convolutions and dense layers
count one for each product of a weight and an activation; biases, batch norm,
activations, pooling and sums count nothing.
"""

import math
from collections.abc import Iterator

import keras
from keras import layers

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


def keras_macs(model: keras.Model) -> int:
    """Multiply-accumulates of one image through a built functional model.

    A layer called twice counts twice; models inside the model are walked too.

    A layer of a kind unknown here may say itself what it costs: a method
    `count_macs(input_shape, output_shape) -> int`, shapes with the batch axis.

    Raises:
        ValueError: the model has no graph, leaves an image size open, or has a layer
            with kernels whose MACs nobody knows.
    """
    return sum(_macs_of_call(*call) for call in _calls(model))


def _calls(model) -> Iterator[tuple]:
    """(operation, input shape, output shape) of every call in the graph."""
    if isinstance(model, keras.Sequential) and model.built:
        model = model._functional
    nodes_by_depth = getattr(model, "_nodes_by_depth", None)
    if nodes_by_depth is None:
        raise ValueError(
            "MACs are counted on a built functional or Sequential model, got "
            f"{type(model).__name__} {getattr(model, 'name', '')!r} without a graph"
        )
    for nodes in nodes_by_depth.values():
        for node in nodes:
            if node.is_input:
                continue
            if isinstance(node.operation, keras.Model):
                yield from _calls(node.operation)
            else:
                yield (
                    node.operation,
                    node.input_tensors[0].shape,
                    node.output_tensors[0].shape,
                )


def _macs_of_call(operation, input_shape, output_shape):
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
