"""One layer for each integer kernel: layers that a file holds as several, apart."""

from collections.abc import Sequence

import keras
from keras import layers

from compression.graph import Graph, config_of, made_again, read, rebuild
from compression.quantization.placement import activation_name, named
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

    An activation other than ReLU becomes a layer behind its convolution, and a
    separable convolution a depthwise and a pointwise one.

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
    return _rebuilt(model, kept, FreeNames(read(model)), _activated)


def _rebuilt(model, kept, names, split):
    """Layers become what `split` gives: a first and a second layer."""
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
