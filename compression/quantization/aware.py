"""Quantization-aware training: a net that trains with the rounding of its int8 file.

Jacob et al. (2018), https://arxiv.org/abs/1712.05877, section 3; Krishnamoorthi
(2018), https://arxiv.org/abs/1806.08342. What comes out is a functional Keras model,
to be trained by `fit`, with a `Distiller` or with masks, and exported with
`export.litert(model, path, precision="int8")`, which needs no calibration then.
"""

from collections.abc import Iterable, Sequence
from functools import partial

import keras
import numpy as np

from compression.arguments import names, require_number
from compression.graph import Source, all_layers, read, rebuild
from compression.quantization.apart import FreeNames, kernels_apart
from compression.quantization.calibration import calibration_images
from compression.quantization.fake_quantize import code_limits, first_step, require_bits
from compression.quantization.placement import place, skipped
from compression.quantization.ranges import (
    ACTIVATION_BITS,
    ActivationRange,
    ClippedRange,
    FixedRange,
    LeaveFloat,
    MovingRange,
    Seen,
    StepRange,
)
from compression.quantization.twins import (
    ChannelwiseBatchNormalization,
    FreezingBatchNormalization,
    Quantized,
    twin_class,
)
from compression.weights import require_finite_weights

METHODS = ("moving_average", "lsq", "pact")
BATCH = 128  # of images that calibration shows together


def quantize_aware(  # noqa: PLR0913, all but one by keyword
    model: keras.Model,
    *,
    bits: int = 8,
    method: str = "moving_average",
    calibration: Iterable | None = None,
    freeze_after: int | None = None,
    momentum: float = 0.99,
    skip: Sequence[str] = (),
) -> keras.Model:
    """The same net with fake quantization, wherever an int8 file rounds.

    Kernels have symmetric ranges, one for each output channel (one for all in dense
    layers and transposed convolutions, of which LiteRT's converter takes no more);
    activations have 8 bits and one range a tensor. Batch norm is folded in the file,
    which keeps the codes (see `FreezingBatchNormalization`).

    Args:
        model: functional or a built `Sequential`, trained or not; it stays as it is.
            Models inside it become part of the net.
        bits: of the weights, 8 or 4; the file packs 4-bit codes, two in a byte.
            Transposed convolutions keep 8, for want of a kernel.
        method: "moving_average": ranges follow what batches show; "lsq": steps of
            weights and activations are learnt (Esser et al. 2020); "pact": the upper
            end of what a ReLU gives is learnt (Choi et al. 2018), all else as in
            "moving_average".
        calibration: batches of images, or of tuples that begin with images, from which
            ranges begin. Without them "moving_average" begins with the first training
            batch; the others need them.
        freeze_after: training steps after which batch norm stops to follow batches;
            None: never.
        momentum: of the moving averages.
        skip: layers that stay float32, by name or pattern, with what is fused to them.

    Raises:
        ValueError: `model` has no graph, is quantized already or has weights that are
            not finite; a layer has no integer kernel; or an argument is not one of
            those above.
    """
    _require(bits, method, calibration, freeze_after, momentum)
    _require_plain(model)
    skip = names("skip", skip)
    net = kernels_apart(model, skip)
    graph = read(net)
    placement = place(graph, skipped(graph, skip))
    seen = {} if calibration is None else _seen(net, placement.ranges, calibration)
    layers = {
        "bits": bits,
        "rounding": "steps" if method == "lsq" else "range",
        "freeze_after": freeze_after,
    }
    ranges = _Ranges(graph, placement.ranges, seen, method, momentum)
    quantized = rebuild(
        net, lambda call: _twin(call.operation, placement, layers), after=ranges.after
    )
    for layer in all_layers(quantized):
        if isinstance(layer, Quantized):
            layer.start()
    return quantized


def is_quantized(model: keras.Model) -> bool:
    """Whether `quantize_aware` has made it."""
    return any(isinstance(each, ActivationRange) for each in all_layers(model))


def require_ranges(model: keras.Model) -> None:
    """Raises ValueError if a range of a quantized net has never seen a batch."""
    for layer in all_layers(model):
        if isinstance(layer, ActivationRange) and not layer.is_known:
            raise ValueError(
                f"{model.name!r} has no ranges yet ({layer.name!r}): train it, or make "
                "it with quantize_aware(model, calibration=batches)"
            )


def _require(bits, method, calibration, freeze_after, momentum):
    require_bits(bits)
    if method not in METHODS:
        raise ValueError(
            f"no method called {method!r}; choose from {', '.join(METHODS)}"
        )
    if method != "moving_average" and calibration is None:
        raise ValueError(
            f"method {method!r} needs calibration: batches of images like those that "
            "the net will see"
        )
    if freeze_after is not None:
        require_number("freeze_after", freeze_after, kind="a number of steps or None")
    require_number("momentum", momentum)
    if freeze_after is not None and freeze_after < 0:
        raise ValueError(f"freeze_after must not be negative, got {freeze_after}")
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum must be in [0, 1), got {momentum}")


def _require_plain(model):
    read(model)  # has it a graph?
    by_keras = any(getattr(x, "quantization_mode", None) for x in all_layers(model))
    if is_quantized(model) or by_keras:
        raise ValueError(f"{model.name!r} is quantized already")
    require_finite_weights(model)


def _twin(layer, placement, options):
    """The layer that stands for another in training, None where none does."""
    if id(layer) not in placement.twins:
        return None
    config, kept = layer.get_config(), ["bits", "rounding"]
    make = twin_class(layer)
    if isinstance(layer, keras.layers.Conv2DTranspose):
        options = options | {"bits": 8}
    if isinstance(layer, keras.layers.BatchNormalization):
        make, kept = FreezingBatchNormalization, ["freeze_after"]
    if id(layer) in placement.alone:
        make = ChannelwiseBatchNormalization
        config["axis"] = -1  # it also takes (batch, channels), as images of a pixel
    return make.from_config(config | {name: options[name] for name in kept})


class _Ranges:
    """The layers that fake-quantize what comes out of calls."""

    def __init__(self, graph, ranges, seen, method, momentum):
        self.numbers = {call.key: at for at, call in enumerate(graph.calls)}
        self.names = FreeNames(graph)
        self.ranges, self.seen = ranges, seen
        self.method, self.momentum = method, momentum
        self.made = {}

    def after(self, call):
        at = self.numbers[call.key]
        if at not in self.ranges:
            return None
        wanted = self.ranges[at]
        if wanted.same_as is not None:
            return partial(self.made[wanted.same_as], observe=False)
        dtype = getattr(call.operation, "dtype_policy", None)
        name = self.names.free(f"{call.operation.name}_range")
        made = self._layer(wanted, self.seen.get(at), {"name": name, "dtype": dtype})
        self.made[at] = made
        if not wanted.after_float:
            return made
        leave = LeaveFloat(name=f"{name}_float", dtype=dtype)
        return lambda x: made(leave(x))

    def _layer(self, wanted, seen, options):
        if wanted.fixed is not None:
            return FixedRange(*wanted.fixed, **options)
        if self.method == "lsq":
            signed = seen.low < 0
            least, most = code_limits(ACTIVATION_BITS)
            step = first_step(seen.size or 1.0, most if signed else most - least)
            return StepRange(step, signed, **options)
        if self.method == "pact" and wanted.positive:
            return ClippedRange(seen.high or 1.0, **options)
        return MovingRange(self.momentum, seen, **options)


def _seen(net, ranges, calibration):
    """What the calibration images make of each tensor that has a range of its own."""
    images = calibration_images(net, calibration)
    own = [at for at, each in ranges.items() if each.same_as is None]
    inner = rebuild(net, outputs=[Source(at) for at in own], share=True)
    parts = []
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        tensors = [np.asarray(t, np.float32) for t in inner.predict_on_batch(batch)]
        parts.append(
            [(t.min(), t.max(), np.abs(t).mean(), len(batch)) for t in tensors]
        )
    found = {}
    for at, tensor in zip(own, np.asarray(parts).transpose(1, 2, 0), strict=True):
        low, high, size, count = tensor
        size = float(np.average(size, weights=count))
        found[at] = Seen(float(low.min()), float(high.max()), size)
    return found
