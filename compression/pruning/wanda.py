"""Wanda: a weight matters as much as what comes in to it.

Sun et al. (2023), "A Simple and Effective Pruning Approach for Large Language Models",
https://arxiv.org/abs/2306.11695, equation 1.
"""

from contextlib import contextmanager

import numpy as np
from keras import layers, ops

from compression.arguments import require_batches
from compression.graph import all_layers
from compression.layer_kinds import CONVOLUTIONS, DEPTHWISE, SEPARABLE, TRANSPOSED
from compression.pruning.saliency import Data
from compression.weights import KERNELS

KNOWN = (layers.Dense, *CONVOLUTIONS, *TRANSPOSED, *SEPARABLE, *DEPTHWISE)


class Wanda:
    """|w| times the L2 norm of the layer's input, over all examples and positions.

    A layer that is called twice counts both inputs. No gradients and no labels are
    needed. The paper compares the weights of one output with each other; here it is
    the `scope` and the pattern that say what competes.

    Args:
        data: batches x or (x, y), or a function that gives them.
    """

    def __init__(self, data: Data):
        self.data = data

    def __call__(self, model, variables):
        owners = _owners(model, variables)
        squares = {}

        def note(layer, x):
            for variable, inputs in _inputs(layer, x):
                found = _sums_of_squares(inputs, layer)
                squares[id(variable)] = squares.get(id(variable), 0) + found

        batches = self.data() if callable(self.data) else self.data
        require_batches("Wanda's data", batches, "batches x or (x, y)")
        with _watched(owners, note):
            for batch in batches:
                x = batch[0] if isinstance(batch, (tuple, list)) else batch
                model(x, training=False)
        missing = [v.path for v in variables if id(v) not in squares]
        if missing:
            raise ValueError(
                f"nothing came in to {', '.join(missing)}: no batch, or an iterator "
                "that was gone through before; give a list or a function"
            )
        return [
            np.abs(ops.convert_to_numpy(v)) * _norms(squares[id(v)], v, owners[id(v)])
            for v in variables
        ]


def _owners(model, variables):
    """The layer of each kernel, by its `id`."""
    owners = {}
    for layer in all_layers(model):
        for name in KERNELS:
            if (kernel := getattr(layer, name, None)) is not None:
                owners[id(kernel)] = layer
    for variable in variables:
        layer = owners.get(id(variable))
        if not isinstance(layer, KNOWN):
            raise ValueError(
                f"it is not known which inputs meet which weights of {variable.path}, "
                f"of a {type(layer).__name__}: leave it out with exempt or select"
            )
    return owners


@contextmanager
def _watched(owners, note):
    """Layers whose inputs are noted: by another `call` in their place meanwhile."""
    watched = {id(layer): layer for layer in owners.values()}.values()
    for layer in watched:

        def call(x, *args, layer=layer, of=layer.call, **kwargs):
            note(layer, x)
            return of(x, *args, **kwargs)

        vars(layer)["call"] = call
    try:
        yield
    finally:
        for layer in watched:
            del vars(layer)["call"]


def _inputs(layer, x):
    """The kernels of a layer with what goes in to each."""
    if not isinstance(layer, SEPARABLE):
        return [(layer.kernel, x)]
    between = ops.depthwise_conv(
        x,
        ops.cast(layer.depthwise_kernel, x.dtype),
        layer.strides,
        layer.padding,
        layer.data_format,
        layer.dilation_rate,
    )
    return [(layer.depthwise_kernel, x), (layer.pointwise_kernel, between)]


def _sums_of_squares(x, layer):
    """For each input channel, over all the rest."""
    x = ops.convert_to_numpy(ops.cast(x, "float32")).astype(float)
    axis = 1 if getattr(layer, "data_format", None) == "channels_first" else x.ndim - 1
    return np.square(x).sum(tuple(i for i in range(x.ndim) if i != axis))


def _norms(squares, kernel, layer):
    """The norms where they meet the kernel's weights."""
    norms = np.sqrt(squares).astype("float32")
    if isinstance(layer, TRANSPOSED):
        return norms  # (..., channels out, channels in)
    if isinstance(layer, DEPTHWISE) or kernel.name == "depthwise_kernel":
        return norms[:, None]  # (..., channels in, multiplier)
    inputs, outputs = kernel.shape[-2:]
    groups = len(norms) // inputs  # each has its own outputs
    return np.repeat(norms.reshape(groups, inputs).T, outputs // groups, axis=1)
