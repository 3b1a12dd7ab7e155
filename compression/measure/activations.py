"""How many numbers a net holds at once while it computes: what its RAM must take.

Of a board that has one buffer for all activations, weights being read from flash, as
TensorFlow Lite Micro has: times one byte for an int8 file, four for float32. Operators
need a little beside it (their descriptions, im2col rows), which is not counted.
"""

import math
from collections.abc import Callable

import keras
from keras import layers

from compression.graph import Graph, Source, read

# They write where they read, or are folded into what comes before, as in LiteRT files.
IN_PLACE = (
    layers.Activation,
    layers.ActivityRegularization,
    layers.AlphaDropout,
    layers.BatchNormalization,
    layers.Dropout,
    layers.ELU,
    layers.Flatten,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Identity,
    layers.LeakyReLU,
    layers.PReLU,
    layers.ReLU,
    layers.Reshape,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.SpatialDropout3D,
)
IN_PLACE_OPERATIONS = {
    "Cast", "Clip", "Elu", "Gelu", "HardSigmoid", "HardSilu", "HardTanh", "Identity",
    "LeakyRelu", "Relu", "Relu6", "Reshape", "Sigmoid", "Silu", "Tanh",
}  # fmt: skip


def peak_activations(model: keras.Model) -> int:
    """The most numbers of one image that are held at once, in the order of calls.

    A tensor is held from the call that makes it to the last one that reads it, inputs
    and outputs of the model among them. Batch norm, activations, dropout and reshapes
    need no room of their own where nobody else reads what they do.

    Raises:
        ValueError: `model` has no graph, or leaves an image size open.
    """
    graph = read(model)
    return peak(graph, lambda source: numbers(graph, source))


def numbers(graph: Graph, source: Source) -> int:
    """How many numbers a tensor of a graph has for one image.

    Raises:
        ValueError: a size is open.
    """
    call = graph.calls[source.call]
    shape = tuple(call.outputs[source.output].shape[1:])
    if None in shape:
        raise ValueError(
            f"{call.path} gives maps of open size {shape}: build the model with a "
            "fixed image size to count its activations; the command line takes "
            "--image-size"
        )
    return math.prod(shape)


def peak(graph: Graph, size: Callable[[Source], int]) -> int:
    """Likewise of a graph whose tensors have other sizes."""
    last = {
        source: max((at for at, _ in uses), default=source.call)
        for source, uses in graph.consumers.items()
    }
    last |= dict.fromkeys(graph.outputs, len(graph.calls))
    held, most = {}, 0
    for at, call in enumerate(graph.calls):
        made = [Source(at, output) for output in range(len(call.outputs))]
        if _is_in_place(call) and last[call.sources[0]] == at:
            held[made[0]] = held.pop(call.sources[0])
        else:
            held |= {source: size(source) for source in made}
        most = max(most, sum(held.values()))
        held = {source: count for source, count in held.items() if last[source] > at}
    return most


def _is_in_place(call):
    if len(call.sources) != 1 or len(call.outputs) != 1:
        return False
    if isinstance(call.operation, keras.Layer):
        return isinstance(call.operation, IN_PLACE)
    return type(call.operation).__name__ in IN_PLACE_OPERATIONS
