"""One layer for each integer kernel: layers that a file holds as several, apart."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers

from compression.graph import Graph, config_of, made_again, read, rebuild
from compression.quantization.placement import (
    activation_name,
    is_one_step,
    named,
    operation_name,
)
from compression.quantization.twins import twin_class

FUSED = ("linear", "relu", "relu6")  # activations that are part of a kernel


class FreeNames:
    """Names for new layers that no layer of a net has, nor may get."""

    def __init__(self, graph: Graph):
        self.taken = set()
        for call in graph.calls:
            parts = call.path.split("/")
            self.taken |= {"_".join(parts[i:]) for i in range(len(parts))}

    def free(self, name: str) -> str:
        """`name`, with a number where it is taken."""
        wanted, number = name, 1
        while name in self.taken:
            number += 1
            name = f"{wanted}_{number}"
        self.taken.add(name)
        return name


def kernels_apart(model: keras.Model, skip: Sequence[str] = ()) -> keras.Model:
    """A copy of a net without models inside, whose layers are one kernel each.

    An activation other than ReLU becomes a layer behind its convolution, a separable
    convolution a depthwise and a pointwise one, and `Rescaling` and `Normalization` a
    product and a sum; SiLU is made of a sigmoid and a product, the hard sigmoid of a
    sum, ReLU6 and a product.

    Args:
        model: functional or a built `Sequential`.
        skip: layers that stay as they are, by the names that they have in what comes
            out, where some are parts of layers: whether there are any is not asked.

    Raises:
        ValueError: `model` has no graph.
    """
    graph = read(model)
    if any(call.models for call in graph.calls):  # their layers may get other names
        model = rebuild(model, flatten=True)
        graph = read(model)
    kept = named(graph, skip)
    if any(isinstance(c.operation, layers.SeparableConv2D) for c in graph.calls):
        model = _rebuilt(model, kept, FreeNames(graph), _separable)
        kept = named(read(model), skip)
    model = _rebuilt(model, kept, FreeNames(read(model)), _activated)
    graph = read(model)
    if any(_elementwise_parts(c.operation) for c in graph.calls):
        kept = named(graph, skip)
        model = _rebuilt(model, kept, FreeNames(graph), _elementwise)
    return model


def _rebuilt(model, kept, names, split):
    """Layers become what `split` gives: a first and a second layer, or a function."""
    made = {}

    def parts(call):
        layer = call.operation
        if id(layer) in kept:
            return None, None
        if id(layer) not in made:
            made[id(layer)] = split(layer, call, names)
        return made[id(layer)]

    return rebuild(
        model,
        lambda call: parts(call)[0],
        after=lambda call: parts(call)[1],
        flatten=True,
    )


def _activated(layer, call, names):
    if twin_class(layer) is None or activation_name(layer.activation) in FUSED:
        return None, None
    first = made_again(layer, activation="linear")
    second = layers.Activation(
        layer.activation,
        name=names.free(f"{layer.name}_activation"),
        dtype=layer.dtype_policy,
    )
    return first, second


def _elementwise(layer, call, names):
    make = _elementwise_parts(layer)
    return make(layer, names) if make else (None, None)


def _elementwise_parts(layer):
    """What takes a layer, or an operation, apart; None of those that stay."""
    if isinstance(layer, layers.Rescaling):
        return None if is_one_step(layer.scale, layer.offset) else _rescaled
    if isinstance(layer, layers.Normalization):
        return _normalised
    name = operation_name(layer)
    if type(layer) is layers.Activation:
        name = activation_name(layer.activation)
    return TAKEN_APART.get(name)


def _rescaled(layer, names):
    return _in_two_steps(layer, layer.scale, layer.offset, names)


def _in_two_steps(layer, scale, offset, names):
    """`Rescaling`: a product, then a sum."""
    if is_one_step(scale, offset):
        return layers.Rescaling(scale, offset, **_options(layer)), None
    scaled = layers.Rescaling(scale, **_options(layer, names, "scaled"))
    return scaled, layers.Rescaling(1.0, offset, **_options(layer))


def _normalised(layer, names):
    if 0 in layer._keep_axis:  # numbers for each image of a batch
        return None, None
    mean, variance = (
        keras.ops.convert_to_numpy(keras.ops.cast(each, "float32"))[0]
        for each in (layer.mean, layer.variance)
    )
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
    if layer.invert:
        scale, offset = deviation, mean
    else:
        scale, offset = 1 / deviation, -mean / deviation
    return _in_two_steps(layer, scale.tolist(), offset.tolist(), names)


def _silu(layer, names):
    gate = layers.Activation("sigmoid", **_options(layer, names, "sigmoid"))
    product = layers.Multiply(**_options(layer))
    first = layers.Activation("linear", **_options(layer, names, "input"))
    return first, lambda x: product([x, gate(x)])


def _hard_sigmoid(layer, names):
    raised = layers.Rescaling(1.0, 3.0, **_options(layer, names, "raised"))
    clipped = layers.ReLU(6, **_options(layer, names, "clipped"))
    scaled = layers.Rescaling(1 / 6, **_options(layer))
    return raised, lambda x: scaled(clipped(x))


TAKEN_APART = {
    "silu": _silu,
    "Silu": _silu,  # of `keras.ops`
    "hard_sigmoid": _hard_sigmoid,
    "HardSigmoid": _hard_sigmoid,
}


def _options(layer, names=None, part=None):
    """Name and dtype of a layer that is the last, or another, part of `layer`."""
    name = layer.name if part is None else names.free(f"{layer.name}_{part}")
    return {"name": name, "dtype": getattr(layer, "dtype_policy", None)}


def _separable(layer, call, names):
    if type(layer).call is not layers.SeparableConv2D.call:
        return None, None
    config = config_of(layer)

    def part(make, own, ours, **options):
        shared = {key: config[key] for key in ("dtype", "trainable", "data_format")}
        for what in ("initializer", "regularizer", "constraint"):
            shared[f"{ours}_{what}"] = config[f"{own}_{what}"]
        return make.from_config(shared | options)

    first = part(
        layers.DepthwiseConv2D,
        "depthwise",
        "depthwise",
        use_bias=False,
        name=layer.name,
        **{
            key: config[key]
            for key in (
                *("kernel_size", "strides", "padding"),
                *("depth_multiplier", "dilation_rate"),
            )
        },
    )
    biased = {key: value for key, value in config.items() if key.startswith("bias_")}
    second = part(
        layers.Conv2D,
        "pointwise",
        "kernel",
        kernel_size=1,
        name=names.free(f"{layer.name}_pointwise"),
        **{key: config[key] for key in ("filters", "use_bias", "activation")},
        **biased,
    )
    first.build(call.inputs[0].shape)
    second.build(first.compute_output_shape(call.inputs[0].shape))
    first.kernel.assign(layer.depthwise_kernel)
    second.kernel.assign(layer.pointwise_kernel)
    if layer.use_bias:
        second.bias.assign(layer.bias)
    return first, second
