"""Where a net is fake-quantized: after each operator that a LiteRT file will hold.

An integer kernel reads and writes codes, so each tensor between kernels has a range. A
convolution with batch norm and ReLU after it is one kernel, and so is a sum with its
ReLU; pooling, reshaping and padding keep the range of what goes in.

A layer that Keras does not ship says what it does by an attribute `output_range`:
"kept", where what comes out are values that went in, or zeros; or "own".
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import keras
import numpy as np
from keras import activations, layers

from compression.graph import Call, Graph, Source
from compression.quantization.twins import twin_class

KEPT_BY = (
    layers.ActivityRegularization,
    layers.AlphaDropout,
    layers.CenterCrop,
    layers.Cropping2D,
    layers.Dropout,
    layers.Flatten,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.GlobalMaxPooling2D,
    layers.Identity,
    layers.MaxPooling2D,
    layers.Permute,
    layers.Reshape,
    layers.SpatialDropout2D,
    layers.ZeroPadding2D,
)
# These change images in training alone, by the names that Keras gives them.
AUGMENTING = ("AugMix", "CutMix", "MixUp", "RandAugment", "Random*")
OWN_OF = (
    layers.Add,
    layers.Concatenate,
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.LeakyReLU,
    layers.Multiply,
    layers.PReLU,
    layers.Subtract,
)
FUSING = (  # a ReLU
    layers.Add,
    layers.AveragePooling2D,
    layers.Multiply,
    layers.Rescaling,
    layers.Subtract,
)
# The kernels' own: https://ai.google.dev/edge/litert/models/quantization_spec
FIXED = {
    "sigmoid": (0.0, 255 / 256),
    "softmax": (0.0, 255 / 256),
    "tanh": (-1.0, 127 / 128),
}
# Where the file has an operator for them, or one for each of their parts.
OWN_ACTIVATIONS = (*FIXED, "gelu", "hard_silu", "leaky_relu")
# Kinds of calls: begins a kernel, batch norm, part of the kernel before, keeps the
# range, averages within it, has a range of its own, stays float32.
KERNEL, NORM, FUSED = "kernel", "norm", "fused"
KEPT, POOLED, OWN, FLOAT = "kept", "pooled", "own", "float"
# Of `keras.ops`, as in `x + y`, by the name of their class.
OPERATIONS = {
    "Add": OWN,
    "Concatenate": OWN,
    "ExpandDims": KEPT,
    "Gelu": OWN,
    "GetItem": KEPT,
    "HardSilu": OWN,
    "Mean": OWN,
    "Multiply": OWN,
    "Relu": FUSED,
    "Relu6": FUSED,
    "Reshape": KEPT,
    "Sigmoid": OWN,
    "Softmax": OWN,
    "Squeeze": KEPT,
    "Subtract": OWN,
    "Tanh": OWN,
    "Transpose": KEPT,
}
NAMED = 3  # layers without a kernel, with their kinds
DIVISIONS = ("Divide", "TrueDivide")  # by a number: a product
FUSING_OPERATIONS = ("Add", "Multiply", "Subtract")


@dataclass(frozen=True)
class Range:
    """What a tensor is fake-quantized by.

    Attributes:
        fixed: ends that the kernel has; None: a range of its own.
        same_as: number of the call whose range this tensor has, too.
        after_float: whether what comes before stays float32.
        positive: whether a ReLU has made the tensor.
        rounds: False where the concatenation that follows rounds it, to its own range,
            and where floats stay floats.
    """

    fixed: tuple[float, float] | None = None
    same_as: int | None = None
    after_float: bool = False
    positive: bool = False
    rounds: bool = True


FLOATS = Range(after_float=True, rounds=False)  # they stay apart from integers' ranges


@dataclass(frozen=True)
class Placement:
    """What to change in a net.

    Attributes:
        ranges: by the number of the call whose output has one.
        twins: ids of layers that get a quantized twin.
        alone: ids of batch norms that no convolution stands before.
        floats: ids of the operations that stay float32.
        operators: numbers of the calls that are one operator of the file, in order:
            those with an integer kernel.
        concatenated: numbers of the calls that the concatenation behind them rounds.
    """

    ranges: dict[int, Range]
    twins: set[int]
    alone: set[int]
    floats: Collection[int]
    operators: tuple[tuple[int, ...], ...]
    concatenated: Collection[int]


def activation_name(function) -> str:
    """Of a layer's activation: "relu", "linear"."""
    if function is None:
        return "linear"
    for name in ("relu", "relu6", "linear", *OWN_ACTIVATIONS):
        if function is getattr(activations, name):
            return name
    return getattr(function, "__name__", type(function).__name__)


def operation_name(operation: keras.Operation) -> str | None:
    """Of an operation of `keras.ops`: "Add"; None for a layer."""
    if isinstance(operation, keras.Layer):
        return None
    return type(operation).__name__


def concatenates(operation: keras.Operation) -> bool:
    """Whether it is a concatenation, a layer or not."""
    is_layer = isinstance(operation, layers.Concatenate)
    return is_layer or operation_name(operation) == "Concatenate"


def skipped(graph: Graph, skip: Sequence[str]) -> set[int]:
    """Ids of the operations that patterns name.

    Raises:
        ValueError: a pattern names none.
    """
    for pattern in skip:
        if not named(graph, [pattern]):
            names = ", ".join(call.path for call in graph.calls)
            raise ValueError(f"skip: no layer is called {pattern!r}; there are {names}")
    return named(graph, skip)


def named(graph: Graph, patterns: Sequence[str]) -> set[int]:
    """Ids of the operations that patterns name, none perhaps."""
    return {
        id(call.operation)
        for call in graph.calls
        for pattern in patterns
        if any(fnmatchcase(n, pattern) for n in (call.operation.name, call.path))
    }


def place(graph: Graph, floats: Collection[int]) -> Placement:
    """Where ranges and twins go.

    Args:
        graph: a kernel's activation is ReLU, ReLU6 or none.
        floats: ids of the operations that stay float32.

    Raises:
        ValueError: a layer has no integer kernel.
    """
    return _Placing(graph, floats).placement()


class _Placing:
    def __init__(self, graph, floats):
        self.graph = graph
        self.calls = graph.calls
        self.floats = floats
        _require_kernels(graph.calls, floats)
        self.kinds = [kind_of(call, floats) for call in graph.calls]
        self.ends = {source.call for source in graph.outputs}
        self.alone = set()

    def placement(self):
        inside = self._inside_kernels()
        self.alone = {
            id(call.operation)
            for at, call in enumerate(self.calls)
            if self.kinds[at] == NORM
            and not any(at in rest for rest in inside.values())
        }
        if self.alone:  # a batch norm called in both ways is alone in both
            inside = self._inside_kernels()
        kernels = [[at, *rest] for at, rest in inside.items()]
        silent = {at for kernel in kernels for at in kernel[:-1]}
        heads = {kernel[-1]: kernel[0] for kernel in kernels}
        ranges = {}
        operators = []
        concatenated = set()
        for at in range(len(self.calls)):
            if at in silent or self.kinds[at] == KEPT:
                continue
            head = heads.get(at, at)
            if self.kinds[head] != FLOAT:
                operators.append((head, *inside.get(head, ())))
            if self._only_concatenated(at, head):
                concatenated.add(at)
                if self.kinds[head] == FLOAT:
                    ranges[at] = FLOATS
            elif not self._inside_floats(at, head):
                ranges[at] = self._range(at, head, ranges)
            elif not self._fuses_in_floats(at):
                ranges[at] = FLOATS
        twins = {
            id(call.operation)
            for call, kind in zip(self.calls, self.kinds, strict=True)
            if kind in (KERNEL, NORM)
        }
        floats = [at for at, kind in enumerate(self.kinds) if kind == FLOAT]
        for at in floats:  # their batch norm too
            twins -= {id(self.calls[i].operation) for i in inside.get(at, ())}
        return Placement(
            ranges, twins, self.alone, self.floats, tuple(operators), concatenated
        )

    def _inside_kernels(self):
        """For each call that begins a kernel the later calls that are part of it."""
        inside = {}
        for at, call in enumerate(self.calls):
            convolves = self.kinds[at] in (KERNEL, FLOAT) and _is_linear(call)
            norm = self.kinds[at] == NORM and id(call.operation) in self.alone
            if not (convolves or norm or _fuses(call.operation)):
                continue
            chain, last = [], at
            if convolves and getattr(twin_class(call.operation), "channels", 0):
                last = self._next(last, NORM, chain)
            self._next(last, FUSED, chain)
            inside[at] = chain
        return inside

    def _next(self, at, kind, chain):
        """The one call that goes on behind call `at`, put on `chain` if it suits."""
        uses = self.graph.consumers[Source(at)]
        if at in self.ends or len(uses) != 1:
            return at
        following = uses[0][0]
        alone = id(self.calls[following].operation) in self.alone
        if self.kinds[following] != kind or alone:
            return at
        chain.append(following)
        return following

    def _inside_floats(self, at, head):
        """Whether a float tensor goes into float layers only: nothing rounds it."""
        if self.kinds[head] != FLOAT:
            return False
        waiting = [at]
        while waiting:
            at = waiting.pop()
            uses = {use for use, _ in self.graph.consumers[Source(at)]}
            kinds = {self.kinds[use] for use in uses}
            if at in self.ends or not uses or not kinds <= {FLOAT, KEPT}:
                return False
            waiting += [use for use in uses if self.kinds[use] == KEPT]
        return True

    def _fuses_in_floats(self, at):
        """Whether it is, or may become, a part of one float operator.

        Of others, LiteRT's converter carries ranges on that its integer kernels have,
        as softmax's 0 to 1, into what joins or moves their values.
        """
        call = self.calls[at]
        kind = _kind_if_any(call)
        if kind == KERNEL:
            name = activation_name(call.operation.activation)
            return name in ("linear", "relu", "relu6")
        return kind in (NORM, FUSED)

    def _concatenates(self, at):
        return concatenates(self.calls[at].operation)

    def _only_concatenated(self, at, head):
        """Whether its range is that of a concatenation, the only use."""
        uses = {use for use, _ in self.graph.consumers[Source(at)]}
        return (
            self.kinds[head] in (KERNEL, NORM, FLOAT)
            and at not in self.ends
            and len(uses) == 1
            and all(
                self._concatenates(use) and self.kinds[use] != FLOAT for use in uses
            )
        )

    def _range(self, at, head, ranges):
        call = self.calls[at]
        if self.kinds[at] == POOLED:
            before = call.producers[0]
            while before not in ranges:
                before = self.calls[before].producers[0]
            same = ranges[before].same_as
            return Range(same_as=before if same is None else same)
        activation = getattr(call.operation, "activation", None)
        name = activation_name(activation)
        if isinstance(call.operation, layers.Softmax):
            name = "softmax"
        if operation_name(call.operation) is not None:
            name = operation_name(call.operation).lower()
        is_float = self.kinds[head] == FLOAT
        positive = self.kinds[at] == FUSED or name in ("relu", "relu6")
        fixed = None if is_float else FIXED.get(name)
        return Range(fixed, None, is_float, positive)


def kind_of(call: Call, floats: Collection[int]) -> str:
    """What an integer file makes of a call.

    Raises:
        ValueError: there is no integer kernel for it.
    """
    layer = call.operation
    if id(layer) in floats:
        return FLOAT
    kind = _kind_if_any(call)
    if kind is None:
        raise ValueError(_lacking([call]))
    require_channels_last(call)
    return kind


def _kind_if_any(call):
    layer = call.operation
    return _kind_of_operation(call) if operation_name(layer) else _kind(layer)


def _require_kernels(calls, floats):
    """Raises ValueError that names all layers without a kernel, not just the first."""
    lacking = {
        id(call.operation): call
        for call in calls
        if id(call.operation) not in floats and _kind_if_any(call) is None
    }
    if len(lacking) > 1:
        raise ValueError(_lacking([*lacking.values()]))


def _lacking(calls):
    words = [f"{call.path!r} ({_in_words(call.operation)})" for call in calls]
    if len(words) > NAMED:
        words[NAMED:] = [f"{len(words) - NAMED} more"]
    names = tuple(call.operation.name for call in calls)
    who, has, it = words[0], "has", "it"
    if len(words) > 1:
        who, has, it = f"{', '.join(words[:-1])} and {words[-1]}", "have", "them"
    return (
        f"{who} {has} no integer kernel: replace {it}, or leave {it} in float32 with "
        f"skip={names}; a layer of your own says by an attribute output_range, "
        '"kept" or "own", what its kernel does'
    )


def _in_words(layer):
    kind = type(layer).__name__
    if isinstance(layer, layers.Activation):
        return f"activation {activation_name(layer.activation)!r}"
    return kind if operation_name(layer) is None else f"operation {kind}"


def require_channels_last(call: Call) -> None:
    """Raises ValueError where a layer has its channels first."""
    if getattr(call.operation, "data_format", None) == "channels_first":
        raise ValueError(
            f"{call.path!r} has its channels first: integer kernels take them last"
        )


def has_kernel(call: Call) -> bool:
    """Whether an integer file has an operator for a call."""
    try:
        kind_of(call, floats=())
    except ValueError:
        return False
    return True


def _kind_of_operation(call):
    name = operation_name(call.operation)
    if name in DIVISIONS and len(call.inputs) == 1:
        return OWN if call.args and call.args[0] is call.inputs[0] else None
    return OPERATIONS.get(name)


def _kind(layer):  # noqa: C901, PLR0911, a table
    if isinstance(layer, layers.InputLayer):
        return OWN
    if twin_class(layer) is not None:
        return KERNEL
    if isinstance(layer, layers.BatchNormalization):
        return NORM
    if isinstance(layer, layers.ReLU):
        plain = not layer.threshold and layer.max_value in (None, 6)
        return FUSED if plain and not layer.negative_slope else None
    if type(layer) is layers.Activation:
        name = activation_name(layer.activation)
        known = {"relu": FUSED, "relu6": FUSED, "linear": KEPT}
        return known.get(name, OWN if name in OWN_ACTIVATIONS else None)
    if isinstance(layer, layers.Rescaling):
        return OWN if is_one_step(layer.scale, layer.offset) else None
    if isinstance(layer, layers.AveragePooling2D):
        return POOLED
    if isinstance(layer, layers.Resizing | layers.UpSampling2D):
        return {"nearest": KEPT, "bilinear": POOLED}.get(layer.interpolation)
    if isinstance(layer, (*OWN_OF, layers.Softmax)):
        return OWN
    if isinstance(layer, KEPT_BY) or _only_augments(layer):
        return KEPT
    declared = getattr(layer, "output_range", None)
    return declared if declared in (KEPT, OWN) else None


def _only_augments(layer):
    kind = type(layer)
    return (
        kind.__module__.startswith("keras.")
        and any(fnmatchcase(kind.__name__, name) for name in AUGMENTING)
        and not isinstance(layer, layers.RandomCrop)  # it crops or resizes them always
    )


def _fuses(operation):
    """Whether a ReLU behind it is part of its operator."""
    name = operation_name(operation)
    return isinstance(operation, FUSING) or name in FUSING_OPERATIONS


def is_one_step(scale, offset) -> bool:
    """Whether x * scale + offset is a product or a sum, and not both."""
    return not np.any(offset) or bool(np.all(np.equal(scale, 1)))


def _is_linear(call):
    layer = call.operation
    return twin_class(layer) is not None and activation_name(layer.activation) == (
        "linear"
    )
