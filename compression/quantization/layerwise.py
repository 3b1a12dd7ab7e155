"""The kernels of a net one after the other, with what goes into each."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from compression.arguments import names
from compression.graph import Call, Graph, Source, called_once, made_again, read
from compression.quantization.placement import require_channels_last, skipped
from compression.quantization.twins import Quantized, twin_class

BATCH = 64  # images that go through a net together
MOST_BYTES = 2**30  # of what is kept of a net's tensors at a time
LEAST_IMAGES = 32  # whatever they take


class Visit(NamedTuple):
    """A layer with a kernel, before it is called.

    Attributes:
        number: of the call.
        layer: what is called.
        inputs: what goes into it, batches of float32.
    """

    number: int
    layer: keras.Layer
    inputs: list[np.ndarray]


def kernels(graph: Graph, skip: str | Sequence[str] = ()) -> list[int]:
    """Numbers of the calls of layers with kernels that are called once, in their order.

    Less those that `skip` names.

    Raises:
        ValueError: one of them has its channels first.
    """
    kept = skipped(graph, names("skip", skip))
    found = [
        number
        for number, call in enumerate(graph.calls)
        if (isinstance(call.operation, Quantized) or twin_class(call.operation))
        and id(call.operation) not in kept
        and called_once(graph, call)
    ]
    for number in found:
        require_channels_last(graph.calls[number])
    return found


def visits(
    net: keras.Model, images: np.ndarray, skip: str | Sequence[str] = ()
) -> Iterator[Visit]:
    """Runs a net, and stops before each call of `kernels`.

    Whoever changes the layer's weights then changes all that comes after. A tensor is
    kept as long as a later call needs it; of more images than fit into memory so, the
    first are taken.

    Args:
        net: functional, with one input and no models inside.
        images: (n, height, width, channels) float32.
        skip: layers not to stop before.
    """
    graph = read(net)
    wanted, last = set(kernels(graph, skip)), _last_uses(graph)
    images = images[: max(LEAST_IMAGES, MOST_BYTES // _bytes_of_image(graph, last))]
    parts = [images[i : i + BATCH] for i in range(0, len(images), BATCH)]
    tensors = {}
    for number, call in enumerate(graph.calls):
        if isinstance(call.operation, keras.layers.InputLayer):
            tensors[Source(number)] = parts
            continue
        if number in wanted:
            yield Visit(number, call.operation, tensors[call.sources[0]])
        results = [
            _called(call, given)
            for given in zip(*(tensors[s] for s in call.sources), strict=True)
        ]
        for output, values in enumerate(zip(*results, strict=True)):
            tensors[Source(number, output)] = list(values)
        tensors = {
            source: kept for source, kept in tensors.items() if last[source] > number
        }


def _last_uses(graph):
    """For every tensor the number of the last call that reads it."""
    return {
        source: max((number for number, _ in uses), default=-1)
        for source, uses in graph.consumers.items()
    }


def _bytes_of_image(graph, last):
    """Most of what one image's tensors take at a time, float32."""
    most, kept = 1, {}
    for number, call in enumerate(graph.calls):
        for output, tensor in enumerate(call.outputs):
            size = 4 * int(np.prod([side or 1 for side in tensor.shape[1:]]))
            kept[Source(number, output)] = size
        most = max(most, sum(kept.values()))
        kept = {source: size for source, size in kept.items() if last[source] > number}
    return most


def _called(call: Call, given) -> list[np.ndarray]:
    """What a call makes of values in place of its inputs."""
    given = [call.as_input(number, value) for number, value in enumerate(given)]
    return [ops.convert_to_numpy(x) for x in call.again(call.operation, given)]


def with_kernel(layer: keras.Layer, kernel, activation: str) -> keras.Layer:
    """A copy of a layer with another kernel and activation."""
    made = made_again(layer, activation=activation)
    made.build(layer.input.shape)
    made.set_weights(layer.get_weights())
    made.kernel.assign(kernel)
    return made
