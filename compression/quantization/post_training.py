"""Post-training quantization: ranges from a few hundred images, no training.

Nagel et al., "A White Paper on Neural Network Quantization" (2021),
https://arxiv.org/abs/2106.08295, figure 8: first `equalise`, then `adaround` or
`correct_bias`, and `calibrate` at last. Each takes a net and gives another.
"""

from collections.abc import Iterable, Sequence

import keras

from compression.quantization.calibration import checked
from compression.quantization.fake_quantize import require_bits
from compression.quantization.histogram import Histogram
from compression.quantization.insertion import Opened, inserted, opened
from compression.quantization.range_choice import (
    METHODS,
    PERCENTILE,
    chosen_ends,
    minmax_ends,
)
from compression.quantization.ranges import FixedRange


def calibrate(  # noqa: PLR0913, all but two by keyword
    model: keras.Model,
    batches: Iterable,
    method: str = "minmax",
    *,
    bits: int = 8,
    percentile: float = PERCENTILE,
    skip: Sequence[str] = (),
) -> keras.Model:
    """The same net with fake quantization whose ranges fit what it makes of images.

    `export.litert(quantized, path, precision="int8")` writes it without further
    calibration. Kernels are rounded as by `quantize_aware`; activations have 8 bits.
    Of each tensor of them a histogram is kept, whose memory does not grow.

    The ranges of the net's inputs and outputs hold all that was seen, by any method:
    256 kinds of pixels have a code each then, and which logit is largest stays to be
    seen (section 3.1 of the white paper).

    Args:
        model: functional or a built `Sequential`; it stays as it is.
        batches: of images like those that the net will see, or of tuples that begin
            with images. They are read once.
        method: "minmax", "percentile", "mse" or "kl", see `range_choice`.
        bits: of the weights, 8 or 4.
        percentile: above 50 and at most 100, of method "percentile".
        skip: layers that stay float32, by name or pattern, with what is fused to them.

    Raises:
        ValueError: `model` has no graph, is quantized already or has weights that are
            not finite; a layer has no integer kernel; images are missing, do not fit,
            are not finite or never end; or an argument is not one of those above.
    """
    require_bits(bits)
    require_method(method)
    if not 50 < percentile <= 100:
        raise ValueError(f"percentile must be in (50, 100], got {percentile}")
    at = opened(model, skip)
    seen = _histograms(at, batches)
    ends = {source.call for source in at.graph.outputs}
    inputs = {
        number
        for number, call in enumerate(at.graph.calls)
        if isinstance(call.operation, keras.layers.InputLayer)
    }
    whole = inputs | {_before_kept(at, number) for number in ends}

    def make_range(number, wanted, options):
        del wanted
        if number in whole:
            low, high = minmax_ends(seen[number])
        else:
            low, high = chosen_ends(seen[number], method, percentile=percentile)
        return FixedRange(low, high, **options)

    return inserted(at, make_range, bits=bits)


def require_method(method: str) -> None:
    """Raises ValueError unless `method` is one of `calibrate`'s."""
    if method not in METHODS:
        raise ValueError(
            f"no calibration method called {method!r}; choose from {', '.join(METHODS)}"
        )


def _before_kept(at: Opened, number: int) -> int:
    """The call whose range an output has: its own, or that of what it keeps."""
    ranges = at.placement.ranges
    while number not in ranges:
        [number] = at.graph.calls[number].producers[:1]
    same = ranges[number].same_as
    return number if same is None else same


def _histograms(at, batches):
    """What was seen of each tensor that has a range of its own."""
    found = {number: Histogram() for number in at.own}
    for images in checked(at.net, batches):
        for tensors in at.tensors(images):
            for number, tensor in zip(at.own, tensors, strict=True):
                try:
                    found[number].add(tensor)
                except ValueError as error:
                    raise ValueError(
                        f"{at.graph.calls[number].path!r} gives values that are not "
                        "finite on calibration images"
                    ) from error
    return found
