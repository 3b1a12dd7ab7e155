"""A teacher as it answers fastest: no batch norm of its own, and half the digits."""

import keras

from compression.arguments import shown
from compression.graph import made_again, read, rebuild
from compression.quantization.folding import fold_batch_norm

DTYPES = ("float32", "bfloat16", "float16")
# They compute next to nothing, or keep what a new layer would not get.
KEPT = (keras.layers.InputLayer, keras.layers.Lambda, keras.layers.Normalization)


def fused(model: keras.Model, dtype: str = "float32") -> keras.Model:
    """A copy for answers only: batch norm is part of the kernels before it.

    In float32 its outputs are those of `model` but for rounding. In less, its layers
    compute in `dtype` from weights in float32; those that give an output of the net
    compute in float32, so that logits keep their digits.

    Args:
        model: functional or a built `Sequential`.
        dtype: "float32"; "bfloat16" for processors that have instructions for it;
            "float16" for GPUs.

    Raises:
        ValueError: `model` has no graph, is quantized or has weights that are not
            finite; or `dtype` is another one.
    """
    require_dtype("dtype", dtype)
    folded = fold_batch_norm(model)
    if dtype == "float32":
        return folded
    graph = read(folded)
    last = {id(graph.calls[source.call].operation) for source in graph.outputs}

    def replaced(call):
        layer = call.operation
        plain = not isinstance(layer, keras.Layer) or isinstance(layer, KEPT)
        if plain or id(layer) in last:
            return None
        return made_again(layer, dtype=f"mixed_{dtype}")

    return rebuild(folded, replaced)


def require_dtype(name: str, given: str) -> None:
    """Raises ValueError, with the argument's name, where no teacher computes so."""
    if not isinstance(given, str) or given not in DTYPES:
        raise ValueError(
            f"{name} must be one of {', '.join(DTYPES)}, got {shown(given)}"
        )
