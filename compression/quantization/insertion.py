"""Fake quantization put into a net: twins of its layers, ranges behind its kernels."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import keras
import numpy as np

from compression.arguments import names
from compression.graph import Graph, Source, all_layers, read, rebuild
from compression.layer_names import require_compilable_names
from compression.nearest import did_you_mean
from compression.quantization.apart import FreeNames, kernels_apart
from compression.quantization.placement import (
    Placement,
    Range,
    concatenates,
    has_kernel,
    place,
    skipped,
)
from compression.quantization.ranges import ActivationRange, FixedRange, LeaveFloat
from compression.quantization.twins import (
    ChannelwiseBatchNormalization,
    FreezingBatchNormalization,
    Quantized,
    twin_class,
    twin_of,
)
from compression.weights import require_finite_weights, require_floats

MOST_IMAGES = 128  # that are shown together
MOST_BYTES = 2**29  # of what they make of all tensors together


@dataclass(frozen=True)
class Opened:
    """A net whose layers are one kernel each, and where it will be fake-quantized.

    Attributes:
        net: a copy of the model, without models inside.
        graph: of it.
        placement: where ranges and twins go.
    """

    net: keras.Model
    graph: Graph
    placement: Placement

    @property
    def own(self) -> list[int]:
        """Numbers of the calls whose output has a range of its own."""
        ranges = self.placement.ranges
        return [at for at, x in ranges.items() if x.rounds and x.same_as is None]

    @cached_property
    def _inner(self):
        sources = [Source(at) for at in self.own]
        return rebuild(self.net, outputs=sources, share=True)

    def tensors(self, images: np.ndarray) -> Iterator[list[np.ndarray]]:
        """What images make of the outputs of the `own` calls, float32, in parts."""
        inner = self._inner
        side = max(images.shape[1:])  # at most that much where a size is open
        size = sum(
            4 * int(np.prod([length or side for length in t.shape[1:]]))
            for t in inner.outputs
        )
        step = min(MOST_IMAGES, max(1, MOST_BYTES // size))
        for start in range(0, len(images), step):
            found = inner.predict_on_batch(images[start : start + step])
            yield [np.asarray(x, np.float32) for x in keras.tree.flatten(found)]


def opened(model: keras.Model, skip: str | Sequence[str] = ()) -> Opened:
    """`model` as it can be fake-quantized, less the layers that `skip` names.

    Raises:
        ValueError: `model` has no graph, is quantized already or has weights that are
            not finite; a layer has no integer kernel; or `skip` names no layer.
    """
    require_plain(model)
    skip = names("skip", skip)
    net = kernels_apart(model, skip)
    graph = read(net)
    return Opened(net, graph, place(graph, skipped(graph, skip)))


def without_kernel(model: keras.Model) -> tuple[str, ...]:
    """Layers that no integer file has an operator for, by the names `skip` takes.

    Raises:
        ValueError: `model` has no graph.
    """
    calls = read(kernels_apart(model)).calls
    names = (call.operation.name for call in calls if not has_kernel(call))
    return tuple(dict.fromkeys(names))


def is_quantized(model: keras.Model) -> bool:
    """Whether it has fake quantization, of `quantize_aware` or of `calibrate`."""
    return any(isinstance(each, ActivationRange) for each in all_layers(model))


def require_plain(model: keras.Model) -> None:
    """Raises ValueError if a net cannot be quantized.

    It has no graph, is quantized, has weights that are not finite, or a layer's name
    cannot be compiled.
    """
    read(model)  # has it a graph?
    require_compilable_names(model)
    require_floats(model)
    if is_quantized(model):
        raise ValueError(
            f"{model.name!r} is quantized already: give the net that it was made of"
        )
    require_finite_weights(model)


MakeRange = Callable[[int, Range, dict], keras.Layer]


def inserted(
    at: Opened,
    make_range: MakeRange,
    *,
    bits: int | Mapping[str, int] = 8,
    rounding: str = "range",
    freeze_after: int | None = None,
) -> keras.Model:
    """The net with fake quantization.

    Args:
        at: the net.
        make_range: of the number of a call with a range of its own, that range and
            options (name and dtype) makes the layer that rounds its output.
        bits: of the weights, 8 or 4, or these by the name of a layer, else 8.
        rounding: of the weights, as `Quantized` takes it.
        freeze_after: as `FreezingBatchNormalization` takes it.

    Raises:
        ValueError: `bits` names a layer that is not quantized.
    """
    if isinstance(bits, Mapping):
        _require_layers(bits, at)
    options = {"bits": bits, "rounding": rounding, "freeze_after": freeze_after}
    ranges = _Ranges(at, make_range)
    quantized = rebuild(
        at.net,
        lambda call: _twin(call.operation, at.placement, options),
        before=ranges.before,
        after=ranges.after,
    )
    for layer in all_layers(quantized):
        if isinstance(layer, Quantized):
            layer.start()
    return quantized


def _require_layers(bits, at):
    layers = [call.operation for call in at.graph.calls]
    twins = [x.name for x in layers if id(x) in at.placement.twins and twin_class(x)]
    for name in bits:
        if name not in twins:
            raise ValueError(
                f"bits: no layer called {name!r} is quantized"
                f"{did_you_mean(name, twins)}; there are "
                f"{', '.join(dict.fromkeys(twins))}"
            )


def _twin(layer, placement, options):
    """The layer that stands for another, None where none does."""
    if id(layer) not in placement.twins:
        return None
    if not isinstance(layer, keras.layers.BatchNormalization):
        bits = options["bits"]
        if isinstance(bits, Mapping):
            bits = bits.get(layer.name, 8)
        return twin_of(layer, bits=bits, rounding=options["rounding"])
    # Subclasses may have options of their own, which a twin does not know.
    config = keras.layers.BatchNormalization.get_config(layer)
    make = FreezingBatchNormalization
    if id(layer) in placement.alone:
        make = ChannelwiseBatchNormalization
        config["axis"] = -1  # it also takes (batch, channels), as images of a pixel
    return make.from_config(config | {"freeze_after": options["freeze_after"]})


class _Ranges:
    """The layers that fake-quantize what comes out of calls."""

    def __init__(self, at, make_range):
        self.calls = at.graph.calls
        self.numbers = {call.key: i for i, call in enumerate(self.calls)}
        self.names = FreeNames(at.graph)
        self.ranges, self.make_range = at.placement.ranges, make_range
        self.floats = at.placement.floats
        self.concatenated = at.placement.concatenated
        self.made = {}

    def before(self, call, number):
        """What input `number` of a call goes through first."""
        layer = call.operation
        if id(layer) in self.floats:
            apart = self._is_rounded(call, number)
        else:
            apart = concatenates(layer) and self._has_own(call, number)
        if not apart:
            return None
        name = self.names.free(f"{layer.name}_input_{number}")
        return LeaveFloat(name=name, dtype=getattr(layer, "dtype_policy", None))

    def _is_rounded(self, call, number):
        """Whether an input of a float layer comes from integers.

        The converter would carry their range into the layer: to the mean of a
        normalization, to the other inputs of a maximum.
        """
        at = self.calls[self.numbers[call.key]].producers[number]
        while at not in self.ranges and id(self.calls[at].operation) not in self.floats:
            at = self.calls[at].producers[0]
        return at in self.ranges and self.ranges[at].rounds

    def _has_own(self, call, number):
        """Whether an input of a concatenation has a range of its own.

        The converter would give it to the others, too, and cut what is beyond.
        """
        call = self.calls[self.numbers[call.key]]
        return call.producers[number] not in self.concatenated

    def after(self, call):
        at = self.numbers[call.key]
        if at not in self.ranges:
            return None
        wanted = self.ranges[at]
        if wanted.same_as is not None:
            return partial(self.made[wanted.same_as], observe=False)
        dtype = getattr(call.operation, "dtype_policy", None)
        if not wanted.rounds:
            name = self.names.free(f"{call.operation.name}_float")
            return LeaveFloat(name=name, dtype=dtype)
        name = self.names.free(f"{call.operation.name}_range")
        options = {"name": name, "dtype": dtype}
        if wanted.fixed is not None:
            made = FixedRange(*wanted.fixed, **options)
        else:
            made = self.make_range(at, wanted, options)
        self.made[at] = made
        if not wanted.after_float:
            return made
        leave = LeaveFloat(name=f"{name}_float", dtype=dtype)
        return lambda x: made(leave(x))
