"""Cross-layer equalisation: channels of two layers rescaled until their ranges match.

Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction"
(2019), https://arxiv.org/abs/1906.04721, section 4.1: for s > 0, relu(s x) = s relu(x),
so what a channel is multiplied by in one layer, the next may divide by (equation 7).
The net computes the same, and one range suits all of its channels better.
"""

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers, ops

from compression.arguments import names
from compression.graph import (
    Graph,
    called_once,
    made_again,
    only_consumer,
    read,
    rebuild,
)
from compression.quantization.channel_numbers import (
    inputs_of_weights,
    largest,
    outputs_of_weights,
)
from compression.quantization.folding import (
    fold_batch_norm,
    layer_bias,
)
from compression.quantization.placement import activation_name, skipped
from compression.quantization.twins import twin_class

RELU6 = ("keep", "relu")
HOMOGENEOUS = ("linear", "relu", "leaky_relu")  # f(s x) = s f(x), for s > 0
# What does to each channel the same, and to s x what it does to x, times s.
PASSING = (
    layers.AveragePooling2D,
    layers.Cropping2D,
    layers.Dropout,
    layers.Flatten,
    layers.GlobalAveragePooling2D,
    layers.GlobalMaxPooling2D,
    layers.Identity,
    layers.LeakyReLU,
    layers.MaxPooling2D,
    layers.SpatialDropout2D,
    layers.UpSampling2D,
    layers.ZeroPadding2D,
)
MOST_ROUNDS = 100
SETTLED = 1e-4  # no factor is further from 1
# A channel that weighs next to nothing beside its bias is a constant: it counts as a
# hundredth of it, lest the bias grow beyond all else. (Section 4.1.3 moves large biases
# into the next layer instead.)
OF_BIAS = 0.01


def equalise(
    model: keras.Model, *, relu6: str = "keep", skip: Sequence[str] = ()
) -> keras.Model:
    """The same net, batch norm folded, its channels rescaled from layer to layer.

    Between the two layers of a pair, of which nothing else reads what is between, may
    stand ReLU, leaky ReLU, pooling, padding, dropout and a `Flatten`. Pairs are
    equalised in turns until nothing moves.

    Args:
        model: functional or a built `Sequential`, as trained; it stays as it is.
        relu6: "keep": pairs with a ReLU6 between them stay as they are, for it cuts off
            at 6 whatever the scale; "relu": each ReLU6 becomes a ReLU first, as in the
            paper (section 5.1), which changes what the net computes where it was cut.
        skip: layers that stay as they are, by name or pattern.

    Raises:
        ValueError: `model` has no graph, is quantized already or has weights that are
            not finite; or an argument is not one of those above.
    """
    if relu6 not in RELU6:
        raise ValueError(f'relu6 must be "keep" or "relu", got {relu6!r}')
    net = fold_batch_norm(model, skip=skip)
    if relu6 == "relu":
        net = _without_relu6(net)
    graph = read(net)
    skip = names("skip", skip)
    pairs = [_Pair(*each) for each in _pairs(graph, skipped(graph, skip))]
    for _ in range(MOST_ROUNDS):
        factors = [pair.equalise() for pair in pairs]
        if all(abs(np.log(each)).max() < SETTLED for each in factors):
            break
    for pair in pairs:
        pair.write()
    return net


class _Kernel:
    """A layer's weights in float64, while they are rescaled."""

    def __init__(self, layer):
        self.layer = layer
        self.kernel = ops.convert_to_numpy(layer.kernel).astype(np.float64)
        bias = layer_bias(layer)
        self.bias = None if bias is None else ops.convert_to_numpy(bias) * 1.0

    def write(self):
        self.layer.kernel.assign(self.kernel)
        if self.bias is not None:
            self.layer.bias.assign(self.bias)


class _Pair:
    """Two layers, the second of which reads the channels of the first."""

    def __init__(self, first: _Kernel, second: _Kernel, channels: int):
        self.first, self.second, self.channels = first, second, channels
        self.written = outputs_of_weights(first.layer)
        self.read = inputs_of_weights(second.layer, channels)

    def equalise(self) -> np.ndarray:
        """Divides channels of the first layer by what it returns, equation 11."""
        first, second = self.first, self.second
        sizes = largest(np.abs(first.kernel), self.written, self.channels)
        if first.bias is not None:
            sizes = np.maximum(sizes, OF_BIAS * np.abs(first.bias))
        others = largest(np.abs(second.kernel), self.read, self.channels)
        alive = (sizes > 0) & (others > 0)
        factors = np.sqrt(np.where(alive, sizes, 1.0) / np.where(alive, others, 1.0))
        first.kernel /= factors[self.written]  # in place: a copy of VGG's fc6 is 0.8 GB
        if first.bias is not None:
            first.bias = first.bias / factors
        second.kernel *= factors[self.read]
        return factors

    def write(self):
        self.first.write()
        self.second.write()


def _pairs(graph: Graph, kept: set[int]):
    """(first, second, channels between them) of each pair that can be equalised."""
    kernels = {}
    for number, call in enumerate(graph.calls):
        if not _is_kernel(graph, call, kept):
            continue
        if activation_name(call.operation.activation) not in HOMOGENEOUS:
            continue
        following = only_consumer(graph, number)
        while following is not None and _passes(graph.calls[following].operation):
            following = only_consumer(graph, following)
        if following is None or not _is_kernel(graph, graph.calls[following], kept):
            continue
        pair = [call.operation, graph.calls[following].operation]
        for layer in pair:
            kernels.setdefault(id(layer), _Kernel(layer))
        yield *(kernels[id(layer)] for layer in pair), call.outputs[0].shape[-1]


def _is_kernel(graph, call, kept):
    layer = call.operation
    first = getattr(layer, "data_format", None) == "channels_first"
    return (
        twin_class(layer) is not None
        and not first
        and id(layer) not in kept
        and called_once(graph, call)
    )


def _passes(layer):
    if isinstance(layer, layers.ReLU):
        return layer.max_value is None and not layer.threshold
    if type(layer) is layers.Activation:
        return activation_name(layer.activation) in HOMOGENEOUS
    return isinstance(layer, PASSING) and (
        getattr(layer, "data_format", None) != "channels_first"
    )


def _without_relu6(net):
    def replaced(call):
        layer = call.operation
        if isinstance(layer, layers.ReLU) and layer.max_value == 6:
            return made_again(layer, max_value=None)
        name = activation_name(getattr(layer, "activation", None))
        if name != "relu6":
            return None
        return made_again(layer, activation="relu")

    return rebuild(net, replaced)
