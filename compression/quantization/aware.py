"""Quantization-aware training: a net that trains with the rounding of its int8 file.

Jacob et al. (2018), https://arxiv.org/abs/1712.05877, section 3; Krishnamoorthi
(2018), https://arxiv.org/abs/1806.08342. What comes out is a functional Keras model,
to be trained by `fit`, with a `Distiller` or with masks, and exported with
`export.litert(model, path, precision="int8")`, which needs no calibration then.
"""

from collections.abc import Iterable, Mapping, Sequence

import keras
import numpy as np

from compression.arguments import require_number
from compression.graph import all_layers
from compression.quantization.calibration import calibration_images
from compression.quantization.fake_quantize import code_limits, first_step, require_bits
from compression.quantization.insertion import Opened, inserted, opened
from compression.quantization.ranges import (
    ACTIVATION_BITS,
    ActivationRange,
    ClippedRange,
    MovingRange,
    Seen,
    StepRange,
)

METHODS = ("moving_average", "lsq", "pact")


def quantize_aware(  # noqa: PLR0913, all but one by keyword
    model: keras.Model,
    *,
    bits: int | Mapping[str, int] = 8,
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
        bits: of the weights, 8 or 4, or these by the name of a layer, 8 where it is
            not named; the file packs 4-bit codes, two in a byte. Transposed
            convolutions keep 8, for want of a kernel.
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
    at = opened(model, skip)
    seen = {} if calibration is None else seen_in(at, calibration)

    def make_range(number, wanted, options):
        found = seen.get(number)
        if method == "lsq":
            signed = found.low < 0
            least, most = code_limits(ACTIVATION_BITS)
            step = first_step(found.size or 1.0, most if signed else most - least)
            return StepRange(step, signed, **options)
        if method == "pact" and wanted.positive:
            return ClippedRange(found.high or 1.0, **options)
        return MovingRange(momentum, found, **options)

    rounding = "steps" if method == "lsq" else "range"
    return inserted(
        at, make_range, bits=bits, rounding=rounding, freeze_after=freeze_after
    )


def require_ranges(model: keras.Model) -> None:
    """Raises ValueError if a range of a quantized net has never seen a batch."""
    for layer in all_layers(model):
        if isinstance(layer, ActivationRange) and not layer.is_known:
            raise ValueError(
                f"{model.name!r} has no ranges yet ({layer.name!r}): train it, or make "
                "it with quantize_aware(model, calibration=batches)"
            )


def _require(bits, method, calibration, freeze_after, momentum):
    for each in bits.values() if isinstance(bits, Mapping) else [bits]:
        require_bits(each)
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


def seen_in(at: Opened, calibration: Iterable) -> dict[int, Seen]:
    """What calibration images make of each tensor that has a range of its own.

    Args:
        at: the net.
        calibration: batches of images, or of tuples that begin with images.
    """
    parts, counts = [], []
    for tensors in at.tensors(calibration_images(at.net, calibration)):
        parts.append([(t.min(), t.max(), np.abs(t).mean()) for t in tensors])
        counts.append(len(tensors[0]))
    found = {}
    for number, tensor in zip(
        at.own, np.asarray(parts).transpose(1, 2, 0), strict=True
    ):
        low, high, size = tensor
        size = float(np.average(size, weights=counts))
        found[number] = Seen(float(low.min()), float(high.max()), size)
    return found
