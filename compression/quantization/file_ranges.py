"""Ranges as an integer file must have them: wide enough for LiteRT's kernels.

A bias is an integer of 32 bits in steps of the input's scale times the weights': of
channels whose weights are next to nothing, as weight decay and batch norm leave them,
or behind a layer that gives zeros, those steps are too small for it. And XNNPACK takes
no product whose steps are 256 of those that it is rounded to. TensorFlow's converter
widens the ranges that it chooses itself; those of fake quantization it takes as they
are, and the file would be wrong without a word. Here they are widened for the file, in
which what they then lose is less than one code.
"""

import contextlib
from collections.abc import Iterator

import keras
import numpy as np
from keras import ops

from compression.graph import Source, read
from compression.quantization.fake_quantize import affine, code_limits
from compression.quantization.folding import affine_of, layer_bias
from compression.quantization.ranges import (
    ACTIVATION_BITS,
    ActivationRange,
    KernelQuantizer,
    KernelRange,
)
from compression.quantization.twins import (
    ChannelwiseBatchNormalization,
    FreezingBatchNormalization,
    Quantized,
)

MOST_OF_BIAS = 2.0**30  # steps: half of what 32 bits hold, as products come on top
MOST_OF_FLOAT = 1e30  # float32 ends near 1e38
WIDE = 1e3  # no weight of a net that learns is
MOST_OF_STEP = 128.0  # steps of a product's, half of what XNNPACK takes

Known = dict[keras.Layer, np.ndarray | tuple[float, float]]


def file_ranges(model: keras.Model) -> Known:
    """For layers that fake-quantize, the ranges that a file shall have.

    Of weights the largest, by channel; of activations both ends, where theirs will
    not do.

    Args:
        model: of `quantize_aware` or `calibrate`, or without fake quantization.
    """
    return _Ranges(model).known


@contextlib.contextmanager
def known_ranges(known: Known) -> Iterator[None]:
    """Meanwhile graphs hold these ranges as numbers, and not how to find them.

    LiteRT's converter computes nothing beforehand from more than 128 MiB, so it could
    not tell the range of AlexNet's `fc6` otherwise.
    """
    try:
        for layer, range_ in known.items():
            layer.known = range_
        yield
    finally:
        for layer in known:
            layer.known = None


class _Ranges:
    def __init__(self, model):
        self.graph = read(model, flatten=True)
        self.known: Known = {}
        for number, call in enumerate(self.graph.calls):
            if isinstance(call.operation, Quantized):
                self._widen(number, call.operation.kernel_quantizer)
            elif isinstance(call.operation, ChannelwiseBatchNormalization):
                self._widen(number, call.operation)

    def _widen(self, number, rounds):
        """The ranges of a call's weights, which `rounds` rounds, and of its output."""
        layer = self.graph.calls[number].operation
        most = code_limits(getattr(rounds, "bits", 8), narrow=True)[1]
        found = _largest(layer)
        largest = np.maximum(found, self.known.get(rounds, 0.0))  # of another call
        factor, bias = self._folded(number, largest)
        before = self._nearest_range(number, self._producers)
        if before is not None:
            step = _scale(*self._ends(before))
            with np.errstate(divide="ignore", invalid="ignore"):
                least = abs(bias) / MOST_OF_BIAS / step * most / abs(factor)
            least = np.where(np.isfinite(least), np.minimum(least, MOST_OF_FLOAT), 0.0)
            least = least if np.ndim(largest) else least.max(initial=0.0)
            largest = np.maximum(largest, least).astype(np.float32)
        if isinstance(rounds, KernelRange) or np.any(largest > found):
            self.known[rounds] = largest
        after = self._nearest_range(number, self._consumers)
        if before is None or after is None or np.max(found, initial=0.0) > WIDE:
            return  # a net that has diverged, which is no matter of ranges
        product = step * float(np.max(largest * abs(factor), initial=0.0)) / most
        low, high = self._ends(after)
        wider = product / _scale(low, high) / MOST_OF_STEP
        if wider > 1:
            self.known[after] = (low * wider, high * wider)

    def _ends(self, range_):
        """(low, high) of activations, at least as wide as `affine` makes them."""
        low, high = self.known.get(range_) or map(_number, range_.ends())
        least, most = code_limits(ACTIVATION_BITS)
        return low, max(high, low + _scale(low, high) * (most - least))

    def _folded(self, number, largest):
        """(factor, bias) by channel, with the batch norm that the file folds."""
        layer = self.graph.calls[number].operation
        if isinstance(layer, ChannelwiseBatchNormalization):
            return affine_of(layer)
        bias = layer_bias(layer)
        bias = 0.0 if bias is None else ops.convert_to_numpy(bias).astype(np.float64)
        for following in self._consumers(number):
            norm = self.graph.calls[following].operation
            alone = isinstance(norm, ChannelwiseBatchNormalization)
            if isinstance(norm, FreezingBatchNormalization) and not alone:
                factor, shift = affine_of(norm)
                return factor, bias * factor + shift
        return np.ones_like(largest), bias

    def _consumers(self, number):
        return [use for use, _ in self.graph.consumers.get(Source(number), ())]

    def _producers(self, number):
        return self.graph.calls[number].producers

    def _nearest_range(self, number, neighbours):
        """The first layer on the way that rounds activations, None if there is none."""
        while following := neighbours(number):
            number = following[0]
            operation = self.graph.calls[number].operation
            if isinstance(operation, ActivationRange):
                return operation
        return None


def _largest(layer):
    """The largest weights by channel that a layer's kernel is rounded by now."""
    if isinstance(layer, ChannelwiseBatchNormalization):
        return np.ones(layer.moving_mean.shape)
    quantizer: KernelQuantizer = layer.kernel_quantizer
    return ops.convert_to_numpy(quantizer.largest(layer.kernel))


def _scale(low, high):
    return float(ops.convert_to_numpy(affine(low, high, bits=ACTIVATION_BITS)[0]))


def _number(end):
    return float(ops.convert_to_numpy(end))
