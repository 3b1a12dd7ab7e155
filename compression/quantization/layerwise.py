"""The kernels of a net one after the other, and what goes into each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from compression.graph import Graph, Source, read, rebuild
from compression.quantization.folding import called_once
from compression.quantization.placement import skipped
from compression.quantization.twins import Quantized, twin_class

BATCH = 64  # images that go through a net together


@dataclass(frozen=True)
class Layerwise:
    """A net, and the layers with kernels that are called once, in their order.

    Attributes:
        net: functional, without models inside.
        graph: of it.
        numbers: of the calls of those layers.
    """

    net: keras.Model
    graph: Graph
    numbers: tuple[int, ...]

    @classmethod
    def of(cls, net: keras.Model, skip: str | Sequence[str] = ()) -> "Layerwise":
        """Of all kernels less those of layers that `skip` names."""
        graph = read(net)
        kept = skipped(graph, (skip,) if isinstance(skip, str) else skip)
        numbers = [
            number
            for number, call in enumerate(graph.calls)
            if _has_kernel(call.operation)
            and id(call.operation) not in kept
            and called_once(graph, call)
        ]
        return cls(net, graph, tuple(numbers))

    @property
    def layers(self) -> list[keras.Layer]:
        """What is called."""
        return [self.graph.calls[number].operation for number in self.numbers]

    def inputs(self, layer: keras.Layer, images: np.ndarray) -> Iterator[np.ndarray]:
        """What goes into a layer, float32, of `BATCH` images at a time."""
        [number] = [n for n in self.numbers if self.graph.calls[n].operation is layer]
        source = Source(self.graph.calls[number].producers[0])
        inner = rebuild(self.net, outputs=source, share=True)
        for start in range(0, len(images), BATCH):
            found = inner(images[start : start + BATCH], training=False)
            yield ops.convert_to_numpy(found)


def _has_kernel(layer):
    return isinstance(layer, Quantized) or twin_class(layer) is not None


def without_activation(layer: keras.Layer) -> keras.Layer:
    """A copy of a layer, with the same weights, that does not activate its output."""
    made = type(layer).from_config(layer.get_config() | {"activation": "linear"})
    made.build(layer.input.shape)
    made.set_weights(layer.get_weights())
    return made
