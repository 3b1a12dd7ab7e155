"""Which variables are kernels, which a model learns, where their channels are."""

from collections.abc import Iterable

import keras
import numpy as np
from keras import layers, ops

from compression.arguments import shown
from compression.graph import all_layers, own_trainable_variables
from compression.layer_kinds import CONVOLUTIONS, DEPTHWISE, SEPARABLE, TRANSPOSED

KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")


def kernels(model: keras.Model) -> list[keras.Variable]:
    """Trainable kernels of `model`'s convolutions and dense layers, nested ones too.

    Of a `Distiller`, those of its student: the projectors of losses are no part of it.
    """
    return [v for v in net_of(model).trainable_variables if v.name in KERNELS]


def net_of(model: keras.Model) -> keras.Model:
    """The student of a `Distiller`; any other model itself."""
    return getattr(model, "student", model)


def learned_variables(layer: keras.Layer) -> list[keras.Variable]:
    """What papers count as parameters: kernels, biases, normalisation scale and shift.

    Everything that a model or layer can train, frozen or not, once each; moving
    statistics and seeds are not among them.
    """
    found = {}
    for inside in all_layers(layer):
        for variable in own_trainable_variables(inside):
            found[id(variable)] = variable
    return list(found.values())


def require_finite_weights(model: keras.Model) -> None:
    """Raises ValueError, with the name of a variable, where `model` has NaN or inf."""
    if not isinstance(model, keras.Layer):
        raise ValueError(f"model must be a keras.Model, got {shown(model)}")
    path = not_finite(model.variables)
    if path is not None:
        raise ValueError(
            f"{path} of {model.name!r} is not finite: has its training diverged?"
        )


def not_finite(variables: Iterable[keras.Variable]) -> str | None:
    """The path of the first variable that has NaN or inf; None where none has."""
    for variable in variables:
        value = ops.convert_to_numpy(variable.value)
        if "float" in variable.dtype and not np.isfinite(value).all():
            return variable.path
    return None


def require_floats(model: keras.Model) -> None:
    """Raises ValueError where Keras's own `quantize` has made integers of kernels.

    They have scales beside them, and in 4 bits another shape: whoever counts, prunes or
    exports weights would take them for what they are not.
    """
    modes = {
        layer.name: mode
        for layer in all_layers(model)
        if (mode := getattr(layer, "quantization_mode", None))
    }
    if modes:
        first = next(iter(modes))
        raise ValueError(
            f"{model.name!r} is quantized already, by Keras ({first}: {modes[first]}): "
            "give the net that it was made of"
        )


def channel_axes(model: keras.Model) -> dict[int, tuple[int, ...]]:
    """Which axes of a kernel number its output channels, by `id` of the variable.

    Only kernels whose output channels are not the last axis are listed.
    """
    axes = {}
    for layer in all_layers(model):
        if isinstance(layer, DEPTHWISE):
            axes[id(layer.kernel)] = (-2, -1)  # (..., channels in, multiplier)
        elif isinstance(layer, SEPARABLE):
            axes[id(layer.depthwise_kernel)] = (-2, -1)
        elif isinstance(layer, TRANSPOSED):
            axes[id(layer.kernel)] = (-2,)  # (..., channels out, channels in)
        elif isinstance(layer, layers.EinsumDense) and layer.built:
            outputs = _axes_of_result(layer.equation.replace(" ", ""))
            if outputs not in ((), (-1,)):
                axes[id(layer.kernel)] = outputs  # attention: (in, heads, size of one)
    return axes


def depthwise_kernels(model: keras.Model) -> set[int]:
    """`id` of each kernel whose output channels have one input channel each."""
    found = set()
    for layer in all_layers(model):
        if not layer.built:
            continue
        if isinstance(layer, SEPARABLE):
            found.add(id(layer.depthwise_kernel))
        elif isinstance(layer, DEPTHWISE) or (
            isinstance(layer, CONVOLUTIONS)
            and layer.groups > 1
            and layer.kernel.shape[-2] == 1
        ):
            found.add(id(layer.kernel))
    return found


def _axes_of_result(equation):
    """Of a kernel in an equation as "abc,cde->abde": those that are in the result."""
    inputs, result = equation.split("->")
    kernel = inputs.split(",")[1]
    return tuple(i - len(kernel) for i, axis in enumerate(kernel) if axis in result)
