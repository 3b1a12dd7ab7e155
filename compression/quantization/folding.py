"""Batch norm made part of the kernel before it, as every int8 file has it.

Jacob et al. (2018), https://arxiv.org/abs/1712.05877, section 3.2, of a net that is
trained: w' = w gamma / sqrt(variance + epsilon), and the bias likewise.
"""

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers, ops

from compression.arguments import names
from compression.graph import (
    LEFT_OUT,
    called_once,
    made_again,
    only_consumer,
    read,
    rebuild,
)
from compression.quantization.apart import kernels_apart
from compression.quantization.channel_numbers import outputs_of_weights
from compression.quantization.insertion import require_plain
from compression.quantization.placement import activation_name, skipped
from compression.quantization.twins import twin_class


def fold_batch_norm(
    model: keras.Model, *, skip: Sequence[str] = (), biased: bool = False
) -> keras.Model:
    """A copy of a net without batch norm behind its kernels, with the same outputs.

    Models inside it become part of the net, and its layers one kernel each
    (`kernels_apart`). Batch norm that stands elsewhere stays, and so does that of a
    layer which is called several times.

    Args:
        model: functional or a built `Sequential`, as trained.
        skip: layers that stay as they are, by name or pattern.
        biased: whether all layers with kernels shall have a bias, zeros if need be.

    Raises:
        ValueError: `model` has no graph, is quantized already or has weights that are
            not finite; or `skip` names no layer.
    """
    require_plain(model)
    skip = names("skip", skip)
    net = kernels_apart(model, skip)
    graph = read(net)
    kept = skipped(graph, skip)
    norms = {}  # by the id of the layer before: its batch norm
    for number, call in enumerate(graph.calls):
        if id(call.operation) not in kept and called_once(graph, call):
            norm = _norm_behind(graph, number)
            if norm is not None and id(norm) not in kept:
                norms[id(call.operation)] = norm
    gone = {id(norm) for norm in norms.values()}
    made = {}

    def replaced(call):
        layer = call.operation
        if id(layer) in gone:
            return LEFT_OUT
        norm = norms.get(id(layer))
        plain = norm is None and (layer_bias(layer) is not None or not biased)
        if id(layer) in kept or twin_class(layer) is None or plain:
            return None
        if id(layer) not in made:
            made[id(layer)] = _with_bias(layer, call, norm)
        return made[id(layer)]

    return rebuild(net, replaced)


def layer_bias(layer: keras.Layer) -> keras.Variable | None:
    """Its bias, if it has one."""
    return getattr(layer, "bias", None) if getattr(layer, "use_bias", False) else None


def affine_of(norm: keras.layers.BatchNormalization) -> tuple[np.ndarray, np.ndarray]:
    """(factor, shift) by channel: batch norm makes factor x + shift of an x."""
    mean, variance = (
        ops.convert_to_numpy(each).astype(np.float64)
        for each in (norm.moving_mean, norm.moving_variance)
    )
    factor = 1 / np.sqrt(variance + norm.epsilon)
    if norm.scale:
        factor = factor * ops.convert_to_numpy(norm.gamma)
    shift = -mean * factor
    if norm.center:
        shift = shift + ops.convert_to_numpy(norm.beta)
    return factor, shift


def _norm_behind(graph, number):
    """The batch norm that a kernel's output goes into, and nothing else."""
    layer = graph.calls[number].operation
    if twin_class(layer) is None or activation_name(layer.activation) != "linear":
        return None
    following = only_consumer(graph, number)
    if following is None:
        return None
    call = graph.calls[following]
    norm = call.operation
    if not isinstance(norm, layers.BatchNormalization):
        return None
    last = norm.axis in (-1, len(call.inputs[0].shape) - 1)
    last = last and getattr(layer, "data_format", None) != "channels_first"
    plain = not call.kwargs.get("training") and call.kwargs.get("mask") is None
    return norm if last and plain and called_once(graph, call) else None


def _with_bias(layer, call, norm):
    """The layer with a bias, and batch norm's factors in it if there is one."""
    made = made_again(layer, use_bias=True)
    made.trainable = layer.trainable
    made.build(call.inputs[0].shape)
    kernel = ops.convert_to_numpy(layer.kernel).astype(np.float64)
    channels = made.bias.shape[0]
    bias = layer_bias(layer)
    bias = np.zeros(channels) if bias is None else ops.convert_to_numpy(bias)
    if norm is not None:
        factor, shift = affine_of(norm)
        kernel = kernel * factor[outputs_of_weights(layer)]
        bias = bias * factor + shift
    made.kernel.assign(kernel.astype(np.float32))
    made.bias.assign(np.asarray(bias, np.float32))
    return made
