"""Fake quantization: reals rounded to those that a few bits can hold.

real = scale * (code - zero_point), equation 1 of Jacob et al., "Quantization and
Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference" (2018),
https://arxiv.org/abs/1712.05877. Its section 3 has the ranges: those of activations
are widened to hold zero and shifted until it is a code; those of weights are symmetric,
without the lowest code.

The gradient is the straight-through estimator's: rounding counts as the identity, what
is cut to the range passes none on.

Learned step sizes are Esser et al., "Learned Step Size Quantization" (2020),
https://arxiv.org/abs/1902.08153.
"""

import math

import keras
import numpy as np
from keras import ops

BITS = (8, 4)
TINY = float(np.finfo(np.float32).tiny)  # runtimes take what is smaller for zero
LEAST_RANGE = 1e-6  # width of one of activations: some tensors are always zero
LEAST_STEP = 1e-6  # of those that are learnt: an optimizer may overshoot zero


def require_bits(bits: int) -> None:
    """Raises ValueError unless `bits` is 8 or 4."""
    if bits not in BITS:
        raise ValueError(f"bits must be 8 or 4, got {bits}")


def code_limits(bits: int, *, narrow: bool = False) -> tuple[int, int]:
    """The lowest and the highest signed code; narrow ranges lack the lowest.

    Raises:
        ValueError: `bits` is neither 8 nor 4.
    """
    require_bits(bits)
    half = 2 ** (bits - 1)
    return -half + narrow, half - 1


def affine(low, high, *, bits: int = 8):
    """Scale and zero point of a range, which is widened to hold zero.

    Args:
        low: lowest real, float32.
        high: highest real.
        bits: 8 or 4.

    Returns:
        (scale, zero_point): float32 tensors; the zero point is a signed code, whole.
    """
    least, most = code_limits(bits)
    low = ops.minimum(ops.cast(low, "float32"), 0.0)
    high = ops.maximum(ops.cast(high, "float32"), low + LEAST_RANGE)
    high = ops.maximum(high, 0.0)
    scale = (high - low) / (most - least)
    return scale, ops.clip(rounded(least - low / scale), least, most)


def rounded(x):
    """To the nearest whole number, halves up, as TensorFlow's kernel rounds."""
    return ops.floor(x + 0.5)


def fake_quantize(x, low, high, *, bits: int = 8):
    """`x` rounded to one of the codes of a range, for a tensor of activations.

    What lies below `low` or above `high` counts in their gradients, as in PACT.

    Args:
        x: any shape; computed in float32, returned in its own dtype.
        low: scalar, at most 0.
        high: scalar, at least 0.
        bits: 8 or 4.
    """
    require_bits(bits)
    high = ops.maximum(high, low + LEAST_RANGE)
    # On TensorFlow this is the operator from which LiteRT's converter reads ranges.
    return keras.quantizers.fake_quant_with_min_max_vars(x, low, high, num_bits=bits)


def fake_quantize_weights(kernel, *, bits: int = 8, channels: int = 0, largest=None):
    """`kernel` rounded to a symmetric, narrow range as wide as its largest weight.

    Args:
        kernel: any shape.
        bits: 8 or 4.
        channels: how many of its last axes number the channels that have ranges of
            their own; 0: one range for all.
        largest: `largest_weights` of it where they are known, None: found here.
    """
    if largest is None:
        kernel_alone = ops.stop_gradient(kernel)
        largest = largest_weights(kernel_alone, bits=bits, channels=channels)
    return _in_symmetric_range(kernel, largest, bits, channels)


def weight_codes(kernel, *, bits: int = 8, channels: int = 0):
    """The codes of `fake_quantize_weights` and their scales, both float32.

    Returns:
        (codes, scales): of `kernel`'s shape, and (number of channels,), or ().
    """
    most = code_limits(bits, narrow=True)[1]
    scales = weight_scales(kernel, bits=bits, channels=channels)
    flat = ops.cast(_flat(kernel, channels), "float32")
    codes = ops.clip(rounded(flat / scales), -most, most)
    return ops.reshape(codes, ops.shape(kernel)), scales


def weight_scales(kernel, *, bits: int = 8, channels: int = 0):
    """The scales of `fake_quantize_weights`, (number of channels,), or ()."""
    most = code_limits(bits, narrow=True)[1]
    return largest_weights(kernel, bits=bits, channels=channels) / most


def largest_weights(kernel, *, bits: int = 8, channels: int = 0):
    """The largest size of a weight by channel, (number of channels,), or ().

    Where all weights are zero it is the highest code, so that the scale is 1.
    """
    most = code_limits(bits, narrow=True)[1]
    flat = ops.abs(ops.cast(_flat(kernel, channels), "float32"))
    largest = ops.max(flat, axis=_but_channels(flat, channels))
    return ops.where(largest < most * TINY, float(most), largest)


def learned_steps(x, step, *, least: int, most: int, features: int):
    """`x` rounded to whole multiples of a step that is learnt, equations 1 to 3.

    The gradient of the step is round(x / step) - x / step where `x` lies in the range,
    `least` or `most` beyond it, times 1 / sqrt(features * most) (section 2.2).

    Args:
        x: any shape, float32.
        step: positive, of a shape that broadcasts with `x`.
        least: lowest code, -Q_N in the paper.
        most: highest code, Q_P.
        features: of a tensor of activations for each image, or weights, that have the
            step; a number, or an integer tensor.
    """
    root = math.sqrt if isinstance(features, int) else _root
    weight = 1 / root(features * most)
    step = positive(step)
    step = ops.stop_gradient(step * (1 - weight)) + step * weight
    codes = ops.clip(x / step, least, most)
    return (codes + ops.stop_gradient(rounded(codes) - codes)) * step


def _root(number):
    return ops.sqrt(ops.cast(number, "float32"))


def positive(learnt):
    """`learnt`, but at least `LEAST_STEP`; below that it gets its gradient, too."""
    return learnt + ops.stop_gradient(ops.maximum(learnt, LEAST_STEP) - learnt)


def first_step(size, most: int):
    """With which a learned step begins, section 2.1: 2 <|x|> / sqrt(Q_P).

    Args:
        size: mean of |x|.
        most: Q_P.
    """
    return 2 * size / math.sqrt(most)


def fake_quantize_steps(kernel, steps, *, bits: int, channels: int, training: bool):
    """`kernel` rounded to multiples of `steps`, of shape (number of channels,) or ().

    In training the steps learn; otherwise it is fake quantization of a fixed range.

    Args:
        kernel: any shape.
        steps: positive.
        bits: 8 or 4.
        channels: how many of the kernel's last axes number the channels.
        training: whether steps shall get gradients.
    """
    least, most = code_limits(bits, narrow=True)
    steps = ops.cast(steps, "float32")
    if not training:
        largest = positive(steps) * most
        return _in_symmetric_range(kernel, largest, bits, channels)
    flat = ops.cast(_flat(kernel, channels), "float32")
    weights = math.prod(kernel.shape) // math.prod(steps.shape)
    found = learned_steps(flat, steps, least=least, most=most, features=weights)
    return ops.reshape(ops.cast(found, kernel.dtype), ops.shape(kernel))


def mean_size(kernel, channels: int):
    """Mean of |kernel| by channel, as `learned_steps` begins with."""
    flat = ops.abs(ops.cast(_flat(kernel, channels), "float32"))
    return ops.mean(flat, axis=_but_channels(flat, channels))


def _flat(kernel, channels):
    """With one last axis for its channels, where they have several."""
    if channels < 2:
        return kernel
    return ops.reshape(kernel, (*kernel.shape[:-channels], -1))


def _but_channels(flat, channels):
    return tuple(range(len(flat.shape) - bool(channels)))


def _in_symmetric_range(kernel, largest, bits, channels):
    found = keras.quantizers.fake_quant_with_min_max_vars(
        _flat(kernel, channels),
        -largest,
        largest,
        num_bits=bits,
        narrow_range=True,
        axis=-1 if channels else None,
    )
    return ops.reshape(found, kernel.shape) if channels > 1 else found
