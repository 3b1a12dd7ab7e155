"""Multiply-accumulates of what multiplies activations by each other, or by einsum.

Counted as torchvision's figures of vision transformers have it: attention's products of
queries with keys and of weights with values count like those of a dense layer.
"""

import inspect
import math
import re
from collections.abc import Sequence

from keras import layers

ATTENTION = (layers.MultiHeadAttention, layers.GroupQueryAttention)
KNOWN_LAYERS = (
    *ATTENTION,
    layers.AdditiveAttention,
    layers.Attention,
    layers.Dot,
    layers.EinsumDense,
)
LETTERS = "αβγδεζηθικλμ"  # for what an ellipsis stands for
TWO_OPERANDS = re.compile(r"([a-zA-Z]|\.{3})*,([a-zA-Z]|\.{3})*->([a-zA-Z]|\.{3})*")


def layer_products(layer: layers.Layer, args: tuple, kwargs: dict) -> int:
    """Of one call of a layer of `KNOWN_LAYERS`, for one image.

    Args:
        layer: built.
        args: of the call, tensors among them.
        kwargs: likewise.

    Raises:
        TypeError: a size is open.
        ValueError: a layer's equation is of another kind than `einsum_macs` reads.
    """
    given = inspect.signature(layer.call).bind(*args, **kwargs).arguments
    if isinstance(layer, ATTENTION):
        query, value = given["query"], given["value"]
        key = given.get("key")
        return _heads(layer, query, value, value if key is None else key)
    tensors = given["inputs"]
    if isinstance(layer, layers.EinsumDense):
        return einsum_macs(layer.equation, (tensors.shape, layer.kernel.shape))
    first, second = (tuple(tensor.shape) for tensor in tensors[:2])
    if isinstance(layer, layers.Dot):
        axes = layer.axes if isinstance(layer.axes, Sequence) else [layer.axes] * 2
        others = math.prod(second[1:]) // second[axes[1]]
        return math.prod(first[1:]) * others
    pairs = math.prod(first[1:-1]) * second[-2]
    if isinstance(layer, layers.AdditiveAttention):  # its scores are sums
        return pairs * second[-1]
    return pairs * (first[-1] + second[-1])


def _heads(layer, query, value, key):
    """Of attention with several heads: four projections, or five, and two products."""
    at = [
        (query, [layer._query_dense, layer._output_dense]),
        (key, [layer._key_dense]),
        (value, [layer._value_dense]),
    ]
    if (gate := getattr(layer, "_gate_dense", None)) is not None:
        at.append((query, [gate]))
    total = sum(
        math.prod(tensor.shape[1:-1]) * math.prod(dense.kernel.shape)
        for tensor, projections in at
        for dense in projections
    )
    heads, size = layer._query_dense.kernel.shape[-2:]
    size += layer._value_dense.kernel.shape[-1]
    axes = getattr(layer, "_attention_axes", None) or (1,)
    seen = math.prod(value.shape[axis] for axis in axes)
    return total + math.prod(query.shape[1:-1]) * seen * heads * size


def attention_macs(query: Sequence, key: Sequence) -> int:
    """Of `keras.ops.dot_product_attention`, for one image: its two products.

    Args:
        query: the shape (batch, positions, heads, size).
        key: likewise, of what is looked at; that of the values, too.

    Raises:
        TypeError: a size is open.
    """
    return 2 * math.prod(query[1:]) * key[1]


def matmul_macs(depth: int, output: Sequence) -> int:
    """Of matrices (batch, ..., m, k) and (..., k, n), for one image.

    Args:
        depth: k.
        output: the shape (batch, ..., m, n).

    Raises:
        TypeError: a size is open.
    """
    return depth * math.prod(output[1:])


def einsum_macs(equation: str, shapes: Sequence[Sequence]) -> int:
    """Of a product of two operands, whose output's first axis is the batch.

    Every letter is gone through for every other one: the product of their sizes.

    Args:
        equation: as einsum takes it.
        shapes: of the operands.

    Raises:
        TypeError: a size is open.
        ValueError: there are not two operands and an output.
    """
    equation = equation.replace(" ", "")
    if not TWO_OPERANDS.fullmatch(equation) or len(shapes) != 2:
        raise ValueError(f"two operands and an output are counted, got {equation!r}")
    inputs, output = equation.split("->")
    sizes, hidden = {}, ""
    for letters, shape in zip(inputs.split(","), shapes, strict=True):
        extra = len(shape) - len(letters.replace("...", ""))
        found = LETTERS[len(LETTERS) - extra :] if "..." in letters else ""
        hidden = max(hidden, found, key=len)
        for letter, size in zip(letters.replace("...", found), shape, strict=True):
            if sizes.get(letter, 1) in (1, None):  # of 1 and a size, the size
                sizes[letter] = size
    batch = output.replace("...", hidden)[0]
    return math.prod(size for letter, size in sizes.items() if letter != batch)
