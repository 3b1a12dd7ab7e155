"""Multiply-accumulates of models and files, and of a Keras model layer by layer.

The published convention (torchvision's and fvcore's): convolutions and dense layers
count one for each product of a weight and an activation; biases, batch norm,
activations, pooling and sums count nothing. Attention counts the products of its
activations, too, see products.py.
"""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from keras import layers

from compression.export.runners import Runner
from compression.graph import Call, read
from compression.layer_kinds import CONVOLUTIONS, DEPTHWISE, SEPARABLE, TRANSPOSED
from compression.measure.products import (
    KNOWN_LAYERS,
    attention_macs,
    einsum_macs,
    layer_products,
    matmul_macs,
)
from compression.measure.scores import runner_of
from compression.measure.unseen_products import multiplies_unseen
from compression.weights import learned_variables

# Layers whose weights of rank two or more are not multiplied by channels: no MACs.
ELEMENTWISE = (
    layers.BatchNormalization,
    layers.Embedding,
    layers.GroupNormalization,
    layers.LayerNormalization,
    layers.Normalization,
    layers.PReLU,
    layers.RMSNormalization,
)
# Operations that are no layers and multiply activations, or hide others that do.
MULTIPLYING_OPERATIONS = {
    "AssociativeScan", "Cond", "Conv", "ConvTranspose", "Corrcoef", "Correlate",
    "DepthwiseConv", "Dot", "ForiLoop", "Function", "Inner", "Inv", "JVP", "Lstsq",
    "Map", "Pinv", "Scan", "SeparableConv", "Solve", "SolveTriangular", "Switch",
    "Tensordot", "Vdot", "VectorizedMap", "WhileLoop",
}  # fmt: skip


class LayerCall(NamedTuple):
    """One call of a layer in a model's graph.

    Attributes:
        layer: the layer, or the operation of `keras.ops`; an `InputLayer` for what
            goes into the model.
        output_shape: with the batch axis; of the first output where there are several.
        parameters: learned weights that no earlier call has counted.
        macs: multiply-accumulates of one image; None where they are not known.
        inputs: where in the list of calls those stand whose outputs go in.
        input_shape: with the batch axis; of the first input where there are several.
    """

    layer: keras.Operation
    output_shape: tuple[int | None, ...]
    parameters: int
    macs: int | None
    inputs: tuple[int, ...]
    input_shape: tuple[int | None, ...]


def layer_calls(model: keras.Model, *, partial: bool = False) -> list[LayerCall]:
    """The calls of a built functional model, each after those whose outputs go in.

    Branches come one after the other, in the order in which they are joined. A layer
    called twice has two rows, and its parameters in the first; of models inside the
    model the layers are listed. The sums are the model's parameters and MACs.

    Args:
        model: built, functional or Sequential.
        partial: whether layers whose MACs are not known are listed without.

    Raises:
        ValueError: as for `macs`.
    """
    uncounted = {id(variable) for variable in learned_variables(model)}
    rows = []
    for call in read(model).calls:
        is_layer = isinstance(call.operation, keras.Layer)
        new = [
            variable
            for variable in (learned_variables(call.operation) if is_layer else [])
            if id(variable) in uncounted
        ]
        uncounted -= set(map(id, new))
        rows.append(
            LayerCall(
                layer=call.operation,
                output_shape=tuple(call.outputs[0].shape),
                parameters=sum(math.prod(variable.shape) for variable in new),
                macs=_macs_if_known(call) if partial else _macs_of(call),
                inputs=call.producers,
                input_shape=tuple(call.inputs[0].shape) if call.inputs else (),
            )
        )
    return rows


def macs(model_or_path: keras.Model | Runner | str | Path) -> int:
    """Multiply-accumulates of one image, as published.

    Zeros are multiplied like any other weight. A layer that a model calls twice counts
    twice; models inside the model are walked too. A layer of a kind unknown here may
    count for itself: a method `count_macs(input_shape, output_shape) -> int`, shapes
    with the batch axis. One without kernels counts nothing; that it multiplies what it
    is given all the same is seen on the TensorFlow backend alone.

    Raises:
        ValueError: a layer or an operator is not known here, the message names it; or
            a model has no graph, or leaves an image size open.
    """
    if isinstance(model_or_path, keras.Model):  # of any number of inputs
        return sum(map(_macs_of, read(model_or_path).calls))
    runner = runner_of(model_or_path)
    if runner.kind == "litert":
        from compression.measure.litert_file import litert_macs

        return litert_macs(runner.path)
    if runner.kind == "saved_model":
        from compression.measure.saved_model_folder import saved_model_macs

        return saved_model_macs(runner.path)
    return sum(map(_macs_of, read(runner.model).calls))


def total_macs(calls: Iterable[LayerCall]) -> int | None:
    """Of the whole model; None where those of a layer are not known."""
    counted = [call.macs for call in calls]
    return None if None in counted else sum(counted)


def _macs_if_known(call: Call) -> int | None:
    try:
        return _macs_of(call)
    except ValueError:
        return None


def _macs_of(call: Call) -> int:
    operation = call.operation
    if isinstance(operation, layers.InputLayer):
        return 0
    input_shape, output_shape = call.inputs[0].shape, call.outputs[0].shape
    if not isinstance(operation, keras.Layer):
        return _of_operation(call, output_shape)
    if isinstance(operation, KNOWN_LAYERS) and not hasattr(operation, "count_macs"):
        return _of_known_sizes(
            operation, layer_products, operation, call.args, call.kwargs
        )
    if multiplies_unseen(call):
        raise ValueError(_unknown(operation))
    return _of_layer(operation, input_shape, output_shape)


def _of_layer(layer, input_shape, output_shape):
    if hasattr(layer, "count_macs"):  # what a layer may offer, see `macs`
        return int(layer.count_macs(input_shape, output_shape))
    if isinstance(layer, layers.SpectralNormalization):
        return _of_layer(layer.layer, input_shape, output_shape)
    if isinstance(layer, layers.TimeDistributed):
        steps, *shape = input_shape[1:]
        inside = (None, *shape), (None, *output_shape[2:])
        return _known(layer, [steps]) * _of_layer(layer.layer, *inside)
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
    flat = all(len(w.shape) < 2 for w in layer.weights)
    if isinstance(layer, ELEMENTWISE) or flat:
        return 0
    raise ValueError(_unknown(layer))


def _unknown(layer):
    return (
        f"the MACs of layer {layer.name!r} ({type(layer).__name__}) are not known: "
        "give it a method count_macs(input_shape, output_shape)"
    )


def _positions(layer, shape):
    first = layer.data_format == "channels_first"
    return _known(layer, shape[2:] if first else shape[1:-1])


def _of_operation(call, output_shape):
    operation, kind = call.operation, type(call.operation).__name__
    if kind == "DotProductAttention":
        query, key = map(_shape, call.args[:2])
        return _of_known_sizes(operation, attention_macs, query, key)
    if kind == "Matmul":
        depth = _shape(call.args[0])[-1]
        return _of_known_sizes(operation, matmul_macs, depth, output_shape)
    if kind == "Einsum":
        shapes = list(map(_shape, call.args))
        return _of_known_sizes(operation, einsum_macs, operation.subscripts, shapes)
    if kind in MULTIPLYING_OPERATIONS:
        raise ValueError(
            f"the MACs of operation {operation.name!r} ({kind}) are not known: put it "
            "into a layer with a method count_macs(input_shape, output_shape)"
        )
    return 0


def _shape(operand):
    """Of a tensor, a variable, or a constant, which may be a list of numbers."""
    return tuple(operand.shape if hasattr(operand, "shape") else np.shape(operand))


def _of_known_sizes(operation, count, *arguments):
    try:
        return count(*arguments)
    except TypeError as error:  # None for a size
        raise ValueError(
            f"layer {operation.name!r} sees sequences of open size: build the model "
            "with fixed sizes to count its MACs"
        ) from error


def _known(layer, sizes):
    if None in sizes:
        raise ValueError(
            f"layer {layer.name!r} sees images of open size {tuple(sizes)}: build the "
            "model with a fixed image size to count its MACs; the command line takes "
            "--image-size"
        )
    return math.prod(sizes)
