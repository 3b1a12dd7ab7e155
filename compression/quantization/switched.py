"""A net whose layers are rounded and left float by turns, in one graph.

What a layer costs is asked a hundred times of a net: a graph for each answer would be
built and traced anew. Here every tensor that an integer file may round has a switch,
and kernels are written over in place, so each answer costs one pass over the images.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np
from keras import ops

from compression.arguments import names
from compression.graph import rebuild
from compression.quantization.aware import seen_in
from compression.quantization.calibration import samples
from compression.quantization.fake_quantize import fake_quantize, fake_quantize_weights
from compression.quantization.insertion import MOST_IMAGES, opened
from compression.quantization.placement import Range, concatenates, place, skipped
from compression.quantization.twins import twin_class

FLOAT, INT8, INT4 = "float32", "int8", "int4"
BITS = {INT8: 8, INT4: 4}  # of weights; activations have 8
SAMPLED = 64  # numbers of each image that stand for all that a layer gives
INPUT = "input"
# Never float32 in an integer file: LiteRT's converter rounds what goes in, a
# concatenation as soon as one of its tensors is rounded, and the weights of a
# transposed convolution whatever it reads.
ROUNDED = (keras.layers.InputLayer, keras.layers.Conv2DTranspose)


def always_rounded(operation: keras.Operation) -> bool:
    """Whether an integer file has no float32 form of it."""
    return concatenates(operation) or isinstance(operation, ROUNDED)


class Switch(keras.Layer):
    """Rounds activations to the 256 codes of a range, while it is on."""

    def build(self, input_shape):
        self.on, self.low, self.high = (
            self.add_weight(
                name=name,
                shape=(),
                initializer="zeros",
                dtype="float32",
                trainable=False,
                autocast=False,
            )
            for name in ("on", "low", "high")
        )

    def set(self, ends: tuple[float, float] | None) -> None:
        """On, with this range; or off."""
        self.on.assign(0.0 if ends is None else 1.0)
        if ends is not None:
            self.low.assign(ends[0])
            self.high.assign(ends[1])

    def call(self, x):
        return ops.cond(
            self.on > 0.5, lambda: fake_quantize(x, self.low, self.high), lambda: x
        )

    def compute_output_shape(self, input_shape):
        return input_shape


class Sample(keras.Layer):
    """Some numbers of each image, at places drawn once; all of a small tensor.

    Of maps whose size is open, places are fractions of it.
    """

    def build(self, input_shape):
        random = np.random.default_rng(0)
        if None in input_shape[1:]:
            self.size, self.places = None, np.sort(random.random(SAMPLED, "float32"))
            return
        self.size = int(np.prod(input_shape[1:]))
        places = np.arange(self.size)
        if self.size > SAMPLED:
            places = np.sort(random.choice(self.size, SAMPLED, replace=False))
        self.places = places.astype("int32")

    def call(self, x):
        x = ops.cast(x, "float32")
        if self.size is not None:
            flat = ops.reshape(x, (-1, self.size))
            return ops.take(flat, self.places, axis=1)
        flat = ops.reshape(x, (ops.shape(x)[0], -1))
        size = ops.cast(ops.shape(flat)[1], "float32")
        places = ops.minimum(self.places * size, size - 1)
        return ops.take(flat, ops.cast(places, "int32"), axis=1)


@dataclass(frozen=True)
class Part:
    """What has one precision: a layer with what is fused to it, in all its calls.

    Attributes:
        layer: its name; where it was taken apart, that of the piece.
        kind: its class; "input" of what goes into the net.
        weights: number of weights that are rounded, 0 where it has none.
        precisions: those that it may have in a file.
        calls: numbers of the calls that give its outputs.
    """

    layer: str
    kind: str
    weights: int
    precisions: tuple[str, ...]
    calls: tuple[int, ...]


class SwitchedNet:
    """A copy of a net, each part of which is rounded or left float as told.

    Args:
        model: functional or a built `Sequential`, not quantized.
        calibration: batches of images, or of tuples that begin with images, from which
            the ranges of activations are read, once.
        skip: layers that always stay float32, by name or pattern.

    Raises:
        ValueError: `model` has no graph or is quantized already, a layer has no
            integer kernel, `skip` names no layer, or the images do not fit.
    """

    def __init__(
        self, model: keras.Model, calibration: Iterable, skip: Sequence[str] = ()
    ):
        skip = names("skip", skip)
        at = opened(model, skip)
        if len(at.graph.outputs) != 1:
            raise ValueError(
                f"model must have one output, the logits: {model.name!r} has "
                f"{len(at.graph.outputs)}"
            )
        self.net, self.graph, self._whole = at.net, at.graph, at.placement
        self._skipped = skipped(self.graph, skip)
        points = set(self._whole.ranges)
        for head, *rest in self._whole.operators:
            points.add(rest[-1] if rest else head)
            if id(self.graph.calls[head].operation) in self._whole.alone:
                points.add(head)  # left float, it is apart from its ReLU
        points = sorted(points)
        everywhere = replace(self._whole, ranges={at: Range() for at in points})
        seen = seen_in(replace(at, placement=everywhere), calibration)
        self._seen = {at: (min(s.low, 0.0), max(s.high, 0.0)) for at, s in seen.items()}
        self._switches = {at: Switch(name=f"switch_{at}") for at in points}
        numbers = {call.key: at for at, call in enumerate(self.graph.calls)}
        self._layers = {
            call.operation.name: call.operation
            for call in self.graph.calls
            if id(call.operation) in self._whole.twins and twin_class(call.operation)
        }
        self._kernels = {n: np.array(layer.kernel) for n, layer in self._layers.items()}
        switched = rebuild(
            self.net,
            after=lambda call: self._switches.get(numbers[call.key]),
            share=True,
        )
        self.parts = {part.layer: part for part in self._parts()}
        some = [
            Sample(name=f"sample_{at}")(switch.output)
            for at, switch in self._switches.items()
        ]
        self._model = keras.Model(switched.input, [*switched.outputs, *some])

    def _parts(self):
        calls, found = self.graph.calls, {}
        for head, *rest in self._whole.operators:
            found.setdefault(id(calls[head].operation), []).append([head, *rest])
        for operators in found.values():
            layer = calls[operators[0][0]].operation
            is_input = isinstance(layer, keras.layers.InputLayer)
            precisions = (INT8,) if always_rounded(layer) else (FLOAT, INT8)
            has_kernel = layer.name in self._kernels
            if has_kernel and not isinstance(layer, keras.layers.Conv2DTranspose):
                precisions = (*precisions, INT4)
            yield Part(
                layer=layer.name,
                kind=INPUT if is_input else type(layer).__name__,
                weights=self._kernels[layer.name].size if has_kernel else 0,
                precisions=precisions,
                calls=tuple(operator[-1] for operator in operators),
            )

    def all_float(self) -> None:
        """Rounds nothing."""
        self._round({}, {})

    def only(self, layer: str, precision: str) -> None:
        """Rounds one part: its weights, and what it gives.

        What is only concatenated is rounded by the concatenation.
        """
        ranges = self._whole.ranges
        given = [at for at in self.parts[layer].calls if at in ranges]
        self._round(
            {at: self._ends(ranges, at) for at in given}, {layer: BITS[precision]}
        )

    def all_of(self, precisions: Mapping[str, str]) -> None:
        """Rounds as a file does whose parts have these precisions."""
        floats = {
            id(call.operation)
            for call in self.graph.calls
            if precisions.get(call.operation.name) == FLOAT
        }
        ranges = place(self.graph, self._skipped | floats).ranges
        ranges = {at: each for at, each in ranges.items() if each.rounds}
        bits = {x: BITS[p] for x, p in precisions.items() if p != FLOAT}
        self._round({at: self._ends(ranges, at) for at in ranges}, bits)

    def _ends(self, ranges, at):
        same, fixed = ranges[at].same_as, ranges[at].fixed
        if same is not None:
            return self._ends(ranges, same)
        return self._seen[at] if fixed is None else fixed

    def _round(self, ends, bits):
        for at, switch in self._switches.items():
            switch.set(ends.get(at))
        for name, layer in self._layers.items():
            kernel = self._kernels[name]
            if name in bits:
                channels = twin_class(layer).channels
                kernel = fake_quantize_weights(
                    ops.convert_to_tensor(kernel), bits=bits[name], channels=channels
                )
            layer.kernel.assign(kernel)

    def answers(self, images: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The logits (n, classes), and some numbers (n, k) of what each part gives."""
        from compression.export.outputs import as_logits  # which imports this room
        from compression.export.runners import of_model

        size = min(MOST_IMAGES, len(images))
        batches = [self._model.predict_on_batch(x) for [x] in samples(images, size)]
        outputs, *some = (
            np.concatenate(parts)[: len(images)] for parts in zip(*batches, strict=True)
        )
        given = dict(zip(self._switches, some, strict=True))
        return as_logits(outputs, of_model(self.net)), {
            name: np.concatenate([given[at] for at in part.calls])
            for name, part in self.parts.items()
        }
