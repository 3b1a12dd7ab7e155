"""What a drawing of a net shows: layers as boxes, chains of them folded into one."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import keras
from keras import layers

from compression.measure import LayerCall

FOLDED_ABOVE = 40  # layers; a smaller net is drawn whole
# Kinds of layers, in the order of a legend.
KINDS = (
    "input", "convolution", "dense", "normalisation", "activation", "pooling", "join",
    "other",
)  # fmt: skip
CONVOLUTIONS = {
    "Conv": "conv",
    "DepthwiseConv": "depthwise conv",
    "SeparableConv": "separable conv",
    "ConvTranspose": "transposed conv",
}
WORDS = {
    "BatchNormalization": "bn",
    "LocalResponseNormalization": "response norm",
    "GlobalAveragePooling": "global average pool",
    "GlobalMaxPooling": "global max pool",
    "AdaptiveAveragePooling": "adaptive average pool",
    "AveragePooling": "average pool",
    "MaxPooling": "max pool",
    "ZeroPadding": "pad",
    "ReLU": "relu",
    "InputLayer": "input",
    "ZeroPaddedShortcut": "zero-padded shortcut",
}
ACTIVATIONS = {
    "Activation", "ELU", "LeakyReLU", "PReLU", "ReLU", "Relu", "Relu6", "Softmax",
    "Sigmoid", "Silu", "Tanh",
}  # fmt: skip


class Box(NamedTuple):
    """One or several layers in a chain, under the name of the one that matters."""

    name: str
    kind: str
    words: tuple[str, ...]
    output_shape: tuple[int | None, ...]
    inputs: tuple[int, ...]


def boxes(calls: Sequence[LayerCall], fold: bool | None = None) -> list[Box]:
    """A net's layers as boxes; `inputs` are numbers of boxes in the list returned.

    Folding puts batch norm, activation and dropout into the box of the layer before
    them, if its output goes nowhere else, and padding into that of the layer after.

    Args:
        calls: of `measure.layer_calls`.
        fold: None folds nets of more than 40 layers.
    """
    fold = len(calls) > FOLDED_ABOVE if fold is None else fold
    uses = Counter(at for call in calls for at in call.inputs)
    made: list[Box] = []
    box_of = {}  # number of a call -> of the box that holds it
    for at, call in enumerate(calls):
        kind = kind_of(call.layer)
        before = tuple(box_of[other] for other in call.inputs)
        box = Box(call.layer.name, kind, (in_words(call.layer),), *_ends(call, before))
        alone = len(before) == 1 and uses[call.inputs[0]] == 1
        if fold and alone and (whole := _folded(made[before[0]], box, call.layer)):
            made[before[0]] = whole
            box_of[at] = before[0]
        else:
            made.append(box)
            box_of[at] = len(made) - 1
    return made


def _ends(call, before):
    return tuple(call.output_shape[1:]), before


def _folded(box, after, layer):
    """Both in one box, or None where they stay apart."""
    words = box.words + after.words
    trails = isinstance(layer, layers.BatchNormalization | layers.Dropout)
    if box.kind != "input" and (trails or after.kind == "activation"):
        return box._replace(words=words, output_shape=after.output_shape)
    if box.words == ("pad",) and after.kind in ("convolution", "pooling"):
        return after._replace(words=words, inputs=box.inputs)
    return None


def kind_of(layer: keras.Operation) -> str:
    """One of `KINDS`."""
    name = type(layer).__name__
    if isinstance(layer, layers.InputLayer):
        return "input"
    if _convolution(name):
        return "convolution"
    if isinstance(layer, layers.Dense):
        return "dense"
    if name.endswith("Normalization"):
        return "normalisation"
    if name in ACTIVATIONS:
        return "activation"
    if "Pooling" in name:
        return "pooling"
    if isinstance(layer, layers.Add | layers.Concatenate | layers.Multiply) or (
        name in ("Average", "Maximum", "Minimum", "Subtract")
    ):
        return "join"
    return "other"


def in_words(layer: keras.Operation) -> str:
    """What a layer does in a few words: "conv 3x3 /2", "dropout 0.5"."""
    name = type(layer).__name__
    words = [_convolution(name) or WORDS.get(name.rstrip("123D"), name.lower())]
    size = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    if isinstance(size, tuple):
        words.append("x".join(map(str, size)))
    stride = getattr(layer, "strides", None)
    if isinstance(stride, tuple) and max(stride) > 1:
        words.append("/" + "x".join(map(str, dict.fromkeys(stride))))
    if getattr(layer, "groups", 1) > 1:
        words.append(f"in {layer.groups} groups")
    if isinstance(layer, layers.Dropout):
        words.append(f"{layer.rate:g}")
    if isinstance(layer, layers.Activation):
        return keras.activations.serialize(layer.activation)
    own = getattr(layer, "activation", None)
    if own not in (None, keras.activations.linear) and callable(own):
        words.append(f"+ {getattr(own, '__name__', 'activation')}")
    return " ".join(words)


def _convolution(name):
    rank = next((r for r in ("1D", "2D", "3D") if r in name), None)
    return CONVOLUTIONS.get(name.replace(rank, "")) if rank else None
