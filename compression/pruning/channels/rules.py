"""What each kind of layer does to channels: from those that go in to those that leave.

A channel is a position along the last axis of a tensor. A rule is given the numbers of
the channels that go into a call (see `Ties`) and says which ones come out, and along
which axes of the layer's weights they lie.

A layer that is not known here declares what it does by a method

    channel_sources(channels) -> for each channel that comes out the number of the
        channel, among the `channels` that go in, that it is made of and vanishes with;
        -1 for one that the layer makes itself, of zeros

and, where it has weights or an option for each channel, by a second one

    keep_channels(inputs, outputs) -> the layer that takes only the channels `inputs`
        and gives only `outputs`, arrays of numbers in rising order, with its weights
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import layers

from compression.graph import Call
from compression.overrides import overridden
from compression.pruning.channels.ties import Ties

MADE, ALONG, READ = "made", "along", "read"
Keep = Callable[[np.ndarray], np.ndarray]  # numbers -> positions of those that stay


@dataclass(frozen=True, eq=False)
class Axis:
    """Channels along an axis of a weight.

    Attributes:
        variable: a weight of a layer.
        axis: of it, negative from the end.
        channels: their numbers.
        role: MADE here, READ here, or only passing ALONG: a scale for each of them.
    """

    variable: keras.Variable
    axis: int
    channels: np.ndarray
    role: str


@dataclass(frozen=True, eq=False)
class Flow:
    """What a call does to channels.

    Attributes:
        output: the numbers of the channels that come out.
        axes: where the layer's weights lie along channels.
        options: gives those of the layer's config that are others after a cut.
        smaller: gives the layer after a cut; None: it is made of its config.
    """

    output: np.ndarray
    axes: tuple[Axis, ...] = ()
    options: Callable[[Keep], dict[str, Any]] | None = None
    smaller: Callable[[Keep], keras.Layer] | None = None

    @property
    def is_cut(self) -> bool:
        """Whether the layer is another one where channels are removed."""
        return bool(self.axes or self.options or self.smaller)


@dataclass(frozen=True)
class Passage:
    """A call on its way through the rules: what rules are given.

    Attributes:
        call: of the graph.
        inputs: for each input the numbers of its channels.
        ties: to tie, to mark and to make numbers.
    """

    call: Call
    inputs: tuple[np.ndarray, ...]
    ties: Ties = field(repr=False)

    @property
    def layer(self) -> keras.Operation:
        return self.call.operation

    @property
    def channels(self) -> np.ndarray:
        return self.inputs[0]

    @property
    def what(self) -> str:
        return f"{self.call.path} ({type(self.layer).__name__})"

    def new(self, count):
        return self.ties.new(count)

    def axis_is_last(self, axis) -> bool:
        rank = len(self.call.inputs[0].shape)
        return axis in (-1, rank - 1)


def flow(passage: Passage) -> Flow:
    """What a call does to the channels that go in.

    Raises:
        ValueError: the rules do not cover it; the message names it.
    """
    layer = passage.layer
    _require_known_form(passage)
    if hasattr(layer, "channel_sources"):
        return _declared(passage)
    for kinds, rule in RULES:
        if isinstance(layer, kinds):
            return rule(passage)
    if not isinstance(layer, keras.Layer) and type(layer).__name__ in OPERATIONS:
        return OPERATIONS[type(layer).__name__](passage)
    raise ValueError(
        f"what {passage.what} does to channels is not known: give the layer a method "
        "channel_sources(channels), see compression.pruning.channels.rules"
    )


def _require_known_form(passage):
    layer = passage.layer
    if getattr(layer, "data_format", None) == "channels_first":
        raise ValueError(
            f"{passage.what} has its channels first: only nets with channels last "
            "can have channels removed"
        )
    if getattr(layer, "lora_enabled", False):
        raise ValueError(
            f"{passage.what} has LoRA weights: build the net without them, and let it "
            "load what `save_weights` writes, where they are merged"
        )
    if getattr(layer, "quantization_mode", None):
        raise ValueError(
            f"{passage.what} is quantized: remove channels before a net is quantized"
        )


# --- layers that make channels -----------------------------------------------------


def _convolution(passage):
    layer, inputs = passage.layer, passage.channels
    groups = layer.groups
    if groups > 1 and groups == len(inputs):
        return _convolution_of_each_channel(passage)
    outputs = passage.new(layer.filters)
    if groups > 1:  # the same of each group, so that the groups stay equal
        for channels in (inputs, outputs):
            first, *others = channels.reshape(groups, -1)
            for other in others:
                passage.ties.unite(first, other, f"the groups of {passage.what}")
        inputs = inputs.reshape(groups, -1)[0]
    return _made(
        passage,
        outputs,
        [("kernel", -2, inputs, READ), ("kernel", -1, outputs, MADE)],
        lambda keep: {"filters": len(keep(outputs))},
    )


def _convolution_of_each_channel(passage):
    """A grouped convolution that is a depthwise one: whole groups go."""
    layer, inputs = passage.layer, passage.channels
    outputs = np.repeat(inputs, layer.filters // len(inputs))
    return _made(
        passage,
        outputs,
        [("kernel", -1, outputs, ALONG)],
        lambda keep: {"filters": len(keep(outputs)), "groups": len(keep(inputs))},
    )


def _transposed(passage):
    outputs = passage.new(passage.layer.filters)
    return _made(
        passage,
        outputs,
        [("kernel", -1, passage.channels, READ), ("kernel", -2, outputs, MADE)],
        lambda keep: {"filters": len(keep(outputs))},
    )


def _separable(passage):
    layer, inputs = passage.layer, passage.channels
    between = np.repeat(inputs, layer.depth_multiplier)
    outputs = passage.new(layer.filters)
    return _made(
        passage,
        outputs,
        [
            ("depthwise_kernel", -2, inputs, READ),
            ("pointwise_kernel", -2, between, READ),
            ("pointwise_kernel", -1, outputs, MADE),
        ],
        lambda keep: {"filters": len(keep(outputs))},
    )


def _depthwise(passage):
    inputs = passage.channels
    outputs = np.repeat(inputs, passage.layer.depth_multiplier)
    return _made(passage, outputs, [("kernel", -2, inputs, ALONG)], None)


def _dense(passage):
    outputs = passage.new(passage.layer.units)
    return _made(
        passage,
        outputs,
        [("kernel", 0, passage.channels, READ), ("kernel", 1, outputs, MADE)],
        lambda keep: {"units": len(keep(outputs))},
    )


def _made(passage, outputs, kernels, options):
    """The flow through kernels, a bias and an activation."""
    layer = passage.layer
    if strange := overridden(type(layer)):
        raise ValueError(
            f"what {passage.what} does to channels is not known, for it has a "
            f"{strange} of its own: give it a method channel_sources(channels), see "
            "compression.pruning.channels.rules"
        )
    axes = [
        Axis(getattr(layer, name), axis, channels, role)
        for name, axis, channels, role in kernels
    ]
    if layer.bias is not None:
        axes.append(Axis(layer.bias, -1, outputs, ALONG))
    if _mixes(layer.activation):
        passage.ties.keep(outputs, f"the softmax of {passage.what} is over them")
    for variable in layer.variables:
        rule = variable.constraint
        if rule is not None and not type(rule).__module__.startswith("keras."):
            why = f"{type(rule).__name__} of {passage.what} is made for them"
            passage.ties.keep(passage.channels, why)
            passage.ties.keep(outputs, why)
    return Flow(outputs, tuple(axes), options)


def _mixes(activation):
    """Whether a channel that comes out depends on others that go in, or may do so."""
    if isinstance(activation, keras.Layer):
        return not isinstance(activation, _kinds("ReLU", "LeakyReLU", "ELU"))
    if activation is None:
        return False
    rows = np.array([[0.1, -0.2, 0.3, 0.25], [0.1, -0.2, 0.3, 0.5]], "float32")
    try:
        found = keras.ops.convert_to_numpy(
            activation(keras.ops.convert_to_tensor(rows))
        )
    except Exception:  # a stranger's function: nothing is known of it
        return True
    return found.shape != rows.shape or not np.allclose(
        *found[:, :-1], 1e-5, 1e-6, equal_nan=True
    )


# --- layers that pass channels on --------------------------------------------------


def _pass(passage):
    return Flow(passage.channels)


def _dropout(passage):
    """A `noise_shape` may count the channels."""
    shape = passage.layer.noise_shape
    if shape is None or shape[-1] in (None, 1):
        return _pass(passage)
    channels = passage.channels
    return Flow(
        channels,
        options=lambda keep: {"noise_shape": (*shape[:-1], len(keep(channels)))},
    )


def _activation(passage):
    if _mixes(passage.layer.activation):
        return _keep(passage)
    return _pass(passage)


def _scales(passage):
    """Weights whose last axis is the channels': norms, PReLU."""
    channels = passage.channels
    return Flow(
        channels,
        tuple(
            Axis(variable, -1, channels, ALONG)
            for variable in passage.layer.variables
            if len(variable.shape) and variable.shape[-1] == len(channels)
        ),
    )


def _batch_norm(passage):
    if not passage.axis_is_last(passage.layer.axis):
        return _pass(passage)
    return _scales(passage)


def _layer_norm(passage):
    axes = passage.layer.axis
    axes = axes if isinstance(axes, list | tuple) else [axes]
    return _scales(passage) if any(map(passage.axis_is_last, axes)) else _pass(passage)


def _group_norm(passage):
    """Whole groups go: the statistics of the others stay as they are."""
    layer, channels = passage.layer, passage.channels
    if not passage.axis_is_last(layer.axis):
        return _keep(passage)
    members = channels.reshape(layer.groups, -1).T
    for other in members[1:]:
        passage.ties.unite(members[0], other, f"the groups of {passage.what}")
    size = len(members)
    return Flow(
        channels,
        _scales(passage).axes,
        lambda keep: {"groups": len(keep(channels)) // size},
    )


def _keep(passage):
    """Where channels are mixed or have options of their own, all of them stay."""
    for channels in passage.inputs:
        passage.ties.keep(channels, f"{passage.what} needs all of them")
    outputs = passage.new(passage.call.outputs[0].shape[-1])
    passage.ties.keep(outputs, f"{passage.what} needs all of its input")
    return Flow(outputs)


def _rescaling(passage):
    numbers = (passage.layer.scale, passage.layer.offset)
    return _pass(passage) if all(np.ndim(x) == 0 for x in numbers) else _keep(passage)


def _reshape(passage):
    """The last axis counts the channels once, or again and again (`Flatten`)."""
    outputs = _flattened(passage)
    if outputs is None:
        return _keep(passage)
    target = passage.layer.target_shape
    return Flow(
        outputs,
        options=lambda keep: {"target_shape": (*target[:-1], len(keep(outputs)))},
    )


def _flatten(passage):
    return Flow(_flattened(passage))


def _flattened(passage):
    size = passage.call.outputs[0].shape[-1]
    if size is None:
        raise ValueError(
            f"{passage.what} sees images of an open size: build the model with a "
            "fixed size to remove channels"
        )
    times, rest = divmod(size, len(passage.channels))
    return np.tile(passage.channels, times) if rest == 0 and times else None


def _permute(passage):
    last = len(passage.call.inputs[0].shape) - 1
    return _pass(passage) if passage.layer.dims[-1] == last else _keep(passage)


def _join(passage):
    """Element by element: channel i of one is tied to channel i of the others."""
    widest = max(passage.inputs, key=len)
    for channels in passage.inputs:
        if len(channels) == len(widest):
            passage.ties.unite(widest, channels, passage.what)
        else:  # one channel, meets all of them
            passage.ties.keep(channels, f"{passage.what} spreads it over many")
    for value in keras.tree.flatten((passage.call.args, passage.call.kwargs)):
        if not isinstance(value, keras.KerasTensor) and np.size(value) > 1:
            passage.ties.keep(widest, f"{passage.what} has a number for each of them")
    return Flow(widest)


def _concatenate(passage):
    if passage.axis_is_last(passage.layer.axis):
        return Flow(np.concatenate(passage.inputs))
    return _join(passage)


def _reduce(passage):
    axes = passage.layer.axis
    axes = axes if isinstance(axes, list | tuple) else [axes]
    if None in axes or any(map(passage.axis_is_last, axes)):
        return _keep(passage)
    return _pass(passage)


def _get_item(passage):
    key = passage.call.args[1] if len(passage.call.args) > 1 else None
    rank = len(passage.call.inputs[0].shape)
    key = key if isinstance(key, tuple) else (key,)
    plain = all(isinstance(part, slice) for part in key)
    whole = len(key) < rank or key[-1] == slice(None)
    return _pass(passage) if plain and whole else _keep(passage)


def _declared(passage):
    layer, inputs = passage.layer, passage.channels
    if len(passage.inputs) > 1:
        raise ValueError(
            f"{passage.what} declares its channels by channel_sources and has "
            f"{len(passage.inputs)} inputs: only a layer with one can"
        )
    sources = np.asarray(layer.channel_sources(len(inputs)), int)
    if sources.min(initial=0) < -1 or sources.max(initial=-1) >= len(inputs):
        raise ValueError(
            f"channel_sources of {passage.what} must give numbers from -1 to "
            f"{len(inputs) - 1}, got {sources.tolist()}"
        )
    outputs = inputs[sources]
    outputs[sources < 0] = passage.new((sources < 0).sum())
    if not hasattr(layer, "keep_channels"):
        if layer.weights:
            raise ValueError(f"{passage.what} has weights but no keep_channels method")
        return Flow(outputs)
    return Flow(
        outputs, smaller=lambda keep: layer.keep_channels(keep(inputs), keep(outputs))
    )


def _kinds(*names):
    """The layer classes called so, in one, two and three dimensions where there are."""
    return tuple(
        getattr(layers, name + suffix)
        for name in names
        for suffix in ("", "1D", "2D", "3D")
        if hasattr(layers, name + suffix)
    )


RULES = (  # the first that fits
    (_kinds("DepthwiseConv"), _depthwise),
    (_kinds("SeparableConv"), _separable),
    (_kinds("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), _transposed),
    (_kinds("Conv"), _convolution),
    (layers.Dense, _dense),
    (layers.BatchNormalization, _batch_norm),
    (layers.GroupNormalization, _group_norm),
    # Their statistics are then those of the channels that stay.
    ((layers.LayerNormalization, layers.RMSNormalization), _layer_norm),
    (layers.PReLU, _scales),
    (layers.Activation, _activation),
    (layers.Rescaling, _rescaling),
    ((layers.Dropout, layers.AlphaDropout), _dropout),
    (layers.Reshape, _reshape),
    (layers.Flatten, _flatten),
    (layers.Permute, _permute),
    (layers.Concatenate, _concatenate),
    (
        _kinds("Add", "Subtract", "Multiply", "Maximum", "Minimum", "Average"),
        _join,
    ),
    (_kinds("Softmax", "Normalization", "UnitNormalization"), _keep),
    (
        _kinds(  # augmentation
            "AugMix", "AutoContrast", "CenterCrop", "CutMix", "Equalization", "MixUp",
            "Pipeline", "RandAugment", "RandomBrightness", "RandomColorDegeneration",
            "RandomColorJitter", "RandomContrast", "RandomCrop",
            "RandomElasticTransform", "RandomErasing", "RandomFlip",
            "RandomGaussianBlur", "RandomGrayscale", "RandomHue", "RandomInvert",
            "RandomPerspective", "RandomPosterization", "RandomRotation",
            "RandomSaturation", "RandomSharpness", "RandomShear", "RandomTranslation",
            "RandomZoom", "Solarization",
        ),
        _keep,
    ),
    (  # each output depends on all channels
        _kinds(
            "AdditiveAttention", "Attention", "Bidirectional", "Dot", "EinsumDense",
            "Embedding", "GroupQueryAttention", "MultiHeadAttention", "RNN",
            "TimeDistributed",
        ),
        _keep,
    ),
    (
        _kinds(
            "ReLU", "LeakyReLU", "ELU", "Identity", "RepeatVector",
            "ActivityRegularization", "Resizing", "ZeroPadding", "Cropping",
            "UpSampling", "MaxPooling", "AveragePooling", "GlobalMaxPooling",
            "GlobalAveragePooling", "AdaptiveMaxPooling", "AdaptiveAveragePooling",
            "SpatialDropout", "GaussianDropout", "GaussianNoise",
        ),
        _pass,
    ),
)  # fmt: skip

OPERATIONS = {  # of `keras.ops`, by the name of their class
    **dict.fromkeys(
        (
            "Abs", "Absolute", "Cast", "Celu", "Clip", "Elu", "Exp", "Expm1", "Gelu",
            "HardSigmoid", "HardSilu", "HardTanh", "Identity", "LeakyRelu", "Log1p",
            "LogSigmoid", "Negative", "Relu", "Relu6", "Selu", "Sigmoid", "Silu",
            "SoftShrink", "Softplus", "Softsign", "Sqrt", "Square", "StopGradient",
            "Tanh", "MaxPool", "AveragePool",
        ),
        _pass,
    ),
    **dict.fromkeys(
        (
            "Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Maximum",
            "Minimum", "Power",
        ),
        _join,
    ),
    **dict.fromkeys(("Mean", "Sum", "Max", "Min", "Amax", "Amin"), _reduce),
    **dict.fromkeys(("Reshape", "Transpose", "Split", "Softmax"), _keep),
    "Concatenate": _concatenate,
    "GetItem": _get_item,
}  # fmt: skip
