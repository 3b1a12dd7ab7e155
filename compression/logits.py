"""Logits or probabilities: what a classifier's output is, and probabilities undone."""

import math
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
from keras import layers

from compression.arguments import shown
from compression.graph import Source, called_once, has_graph, made_again, read
from compression.layer_kinds import CONVOLUTIONS, DEPTHWISE, SEPARABLE, TRANSPOSED
from compression.quantization.ranges import ActivationRange, LeaveFloat

LINEAR, OTHER = "linear", "other"
PROBABILITIES = "probabilities"  # in [0, 1], and no function that has a name here
SQUASHING = ("softmax", "sigmoid", "log_softmax", PROBABILITIES)
WEIGHTED = (
    layers.Dense,
    layers.EinsumDense,
    *CONVOLUTIONS,
    *TRANSPOSED,
    *DEPTHWISE,
    *SEPARABLE,
)
ACTIVATIONS = (layers.Activation, layers.Softmax)
ROUNDING = (ActivationRange, LeaveFloat)  # of fake quantization
RESHAPING = (layers.Reshape, layers.Flatten, layers.Permute, layers.Cropping2D)
IDLE = (  # give back what they get when a model is not trained
    layers.ActivityRegularization,
    layers.AlphaDropout,
    layers.Dropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Identity,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
)
# Averages of probabilities are probabilities, those of logits are logits.
AVERAGING = (
    layers.Average,
    layers.AveragePooling1D,
    layers.AveragePooling2D,
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
)
RESHAPING_OPERATIONS = {"ExpandDims", "GetItem", "Reshape", "Squeeze", "Transpose"}
MOST_NUMBERS = 1_000_000  # in a batch on which something is tried


class Ending(NamedTuple):
    """What a model's output is.

    Attributes:
        kind: "linear": logits; "softmax", "sigmoid", "log_softmax"; "probabilities":
            numbers from 0 to 1 of another function; "other": none of these.
        layer: the layer or operation that makes it so.
        word: its function's name, for messages.
    """

    kind: str
    layer: keras.Operation
    word: str


def ending(model: keras.Model) -> Ending:
    """What the output of `model` is, by what its graph computes.

    Goes back from the output through what keeps probabilities (reshaping, dropout,
    averages, models used as layers) to the layer that makes them. Its activation is
    known by its values, whatever its name. Where that layer is nothing known, two
    small batches of random images are put through the model, unless they are large.

    Args:
        model: functional or a built `Sequential`, with one output.

    Raises:
        ValueError: `model` has no graph.
    """
    graph = read(model)
    [source] = graph.outputs
    found = _ending_at(graph, source)
    if found.kind == OTHER and _gives_probabilities(model):
        return found._replace(kind=PROBABILITIES)
    return found


def require_logits(model: keras.Model, role: str) -> None:
    """Check that a functional model's output are logits, not probabilities.

    Raises:
        ValueError: the output is that of a softmax, log-softmax, sigmoid or another
            function into [0, 1]; or the model is not a built functional or sequential
            one with one output.
    """
    if not has_graph(model) or len(model.outputs) != 1:
        raise ValueError(
            f"{role} {model.name!r} must be a built functional or sequential model "
            "with one output, the logits"
        )
    found = ending(model)
    if found.kind in SQUASHING:
        word = found.word if found.kind == PROBABILITIES else found.kind
        raise ValueError(
            f"{role} {model.name!r} ends in a {word} (layer {found.layer.name!r}), but "
            "logits are needed: give as_logits(model), or build it with a linear last "
            "layer"
        )


def as_logits(model: keras.Model) -> keras.Model:
    """`model` without its final softmax: the same layers, the same weights.

    For `keras.applications` and anyone's functional or built sequential model. The
    model itself stays as it is, and shares its weights with what comes out: training
    one trains the other. A dense or convolutional last layer is replaced by one of
    the same name without activation that holds the same variables.

    Args:
        model: one output, (batch, classes); it ends in a softmax, or in a dense or
            convolutional layer without activation, which is returned as it is.

    Raises:
        ValueError: the model is no such model, or ends in something that logits
            cannot be read from, such as a sigmoid.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(f"model must be a keras.Model, got {shown(model)}")
    if isinstance(model, keras.Sequential) and not model.built:
        raise ValueError(f"{model.name!r} is not built; give it an input shape first")
    if not has_graph(model):
        raise ValueError(
            f"{model.name!r} is no functional or sequential model, so its last layer "
            "is not known; give it without its softmax"
        )
    if len(model.outputs) != 1:
        raise ValueError(f"{model.name!r} has {len(model.outputs)} outputs, not one")
    graph = read(model)
    if _ending_at(graph, graph.outputs[0]).kind == LINEAR:
        return model
    return _without_its_softmax(model, model.name)


# --- what an output is --------------------------------------------------------------


def _ending_at(graph, source: Source) -> Ending:
    call = graph.calls[source.call]
    while _passes(call):
        if len(call.sources) > 1:
            return _average_of(call, [_ending_at(graph, s) for s in call.sources])
        call = graph.calls[call.sources[0].call]
    return _made_by(call)


def _passes(call):
    """Whether the output is probabilities or logits just where the inputs are."""
    operation = call.operation
    if isinstance(operation, IDLE + ROUNDING + RESHAPING + AVERAGING):
        return True
    if not isinstance(operation, keras.Layer) and (
        type(operation).__name__ in RESHAPING_OPERATIONS
    ):
        return len(call.sources) == 1
    return _is_function(call) and _kind_of_call(call) == LINEAR


def _average_of(call, endings):
    kinds = {found.kind for found in endings}
    if len(kinds) == 1:
        return endings[0]
    if kinds <= {"softmax", "sigmoid", PROBABILITIES}:
        return endings[0]._replace(kind=PROBABILITIES)
    return Ending(OTHER, call.operation, _word(call.operation))


def _made_by(call):
    operation = call.operation
    kind = OTHER
    if isinstance(operation, WEIGHTED):
        kind = _kind(operation.activation, call.outputs[0].shape)
    elif _is_function(call):
        kind = _kind_of_call(call)
    return Ending(kind, operation, _word(operation))


def _is_function(call):
    """One tensor in and one of its shape out, without weights: can be tried alone."""
    operation = call.operation
    return (
        len(call.inputs) == len(call.outputs) == 1
        and call.inputs[0].shape == call.outputs[0].shape
        and not (isinstance(operation, keras.Layer) and operation.variables)
        and not isinstance(operation, keras.Model)
    )


def _kind_of_call(call):
    def function(x):
        args, kwargs = keras.tree.map_structure(
            lambda value: x if value is call.inputs[0] else value,
            (call.args, call.kwargs),
        )
        return call.operation(*args, **kwargs)

    return _kind(function, call.inputs[0].shape)


def _kind(function: Callable, shape) -> str:
    """What a function of numbers is, by its values on some."""
    sides = [side or 2 for side in shape[1:]]
    if 3 * math.prod(sides) > MOST_NUMBERS:
        return OTHER
    x = np.random.default_rng(0).normal(scale=3.0, size=(3, *sides)).astype("float32")
    try:
        y = keras.ops.convert_to_tensor(function(x))
        y, dtype = keras.ops.convert_to_numpy(keras.ops.cast(y, "float32")), y.dtype
    except Exception:  # a stranger's function, which may not take such numbers
        return OTHER
    tolerance = 1e-4 if keras.backend.standardize_dtype(dtype) == "float32" else 3e-2
    for kind, values in _known_functions(x):
        if y.shape == x.shape and np.allclose(y, values, tolerance, tolerance):
            return kind
    return PROBABILITIES if _within_zero_and_one(y) else OTHER


def _known_functions(x):
    yield LINEAR, x
    yield "sigmoid", 1 / (1 + np.exp(-x))
    for axis in range(1, x.ndim):
        softmax = np.exp(x) / np.exp(x).sum(axis, keepdims=True)
        yield "softmax", softmax
        yield "log_softmax", np.log(softmax)


def _within_zero_and_one(values):
    """Not all zero or equal, which would prove nothing."""
    return values.min() >= 0 and 0 < values.max() <= 1 + 1e-3 and np.ptp(values) > 0


def _gives_probabilities(model):
    """Whether images of any contrast come out from 0 to 1: a rectifier's would not."""
    shapes = [
        (2, *(side or 32 for side in tensor.shape[1:])) for tensor in model.inputs
    ]
    if sum(map(math.prod, shapes)) > MOST_NUMBERS:
        return False
    generator = np.random.default_rng(0)
    outputs = []
    for contrast in (1.0, 1e3):
        images = [generator.normal(scale=contrast, size=shape) for shape in shapes]
        images = [x.astype("float32") for x in images]
        if not isinstance(model, keras.Sequential):
            images = keras.tree.pack_sequence_as(model.input, images)
        else:
            [images] = images
        try:
            output = model(images, training=False)
        except Exception:  # made for other numbers, such as indices
            return False
        outputs.append(keras.ops.convert_to_numpy(keras.ops.cast(output, "float32")))
    return all(_within_zero_and_one(values) for values in outputs)


def _word(operation):
    """The name of a layer's function, of an operation's or else of its class."""
    if isinstance(operation, (*WEIGHTED, layers.Activation)):
        activation = operation.activation
        return getattr(activation, "__name__", type(activation).__name__)
    return type(operation).__name__


# --- taking a softmax off -----------------------------------------------------------


def _without_its_softmax(model, name):
    graph = read(model, flatten=False)
    chain = []  # what comes after the softmax, from the output back
    call = graph.calls[graph.outputs[0].call]
    while not _is_ending(call):
        chain.append(call)
        call = graph.calls[call.sources[0].call]
    # What else its layer is called for stays: the new one needs a name of its own.
    suffix = "" if called_once(graph, call) else "_logits"
    layer_name = call.operation.name + suffix
    logits = _logits_of(call, layer_name, model.name)
    for later in reversed(chain):
        if isinstance(later.operation, ROUNDING):  # to the range of probabilities
            continue
        logits = later.operation(logits)
    # A sequential or nested model's `input` is not its own; a lone one needs no list.
    image = model.inputs[0] if len(model.inputs) == 1 else model.input
    return keras.Model(image, logits, name=name)


def _is_ending(call):
    operation = call.operation
    if has_graph(operation) or not isinstance(operation, keras.Layer):
        return True
    return (
        len(call.sources) != 1
        or isinstance(operation, AVERAGING)
        or not (_passes(call))
    )


def _logits_of(call, name, model_name):
    operation = call.operation
    if has_graph(operation):
        if len(operation.outputs) != 1:
            raise ValueError(
                f"{operation.name!r} has {len(operation.outputs)} outputs, not one"
            )
        return _without_its_softmax(operation, name)(*call.args, **call.kwargs)
    found = _made_by(call)
    if isinstance(operation, WEIGHTED) and found.kind == "softmax":
        return _without_activation(operation, call.inputs[0], name)
    if found.kind == "softmax":
        return _as_dtype(call.inputs[0], call.outputs[0].dtype, name)
    raise ValueError(
        f"{model_name!r} ends in {operation.name!r} ({found.word}), from which logits "
        "cannot be read; give it with a last layer that has a softmax or no activation"
    )


def _without_activation(layer, source, name):
    """A layer like `layer`, with its variables, without its softmax."""
    twin = made_again(layer, activation="linear", name=name)
    shared = {variable.name: variable for variable in layer.variables}
    twin.add_weight = lambda *_, name, **__: shared[name]
    twin.build(source.shape)  # takes the variables instead of making its own
    del twin.add_weight
    return twin(source)


def _as_dtype(source, dtype, name):
    """Under mixed precision the softmax is often the one layer in float32."""
    if source.dtype == dtype:
        return source
    return layers.Activation("linear", dtype=dtype, name=name)(source)
