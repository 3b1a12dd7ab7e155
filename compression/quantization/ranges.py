"""Layers that fake-quantize a tensor: where its range comes from.

Of activations, a range follows what batches show (`MovingRange`), is fixed by the
integer kernel (`FixedRange`), or is learnt: its upper end (`ClippedRange`, PACT) or its
step (`StepRange`, LSQ). Of kernels it is that of the weights (`KernelRange`), or has
learnt steps (`KernelSteps`).
"""

import math
from dataclasses import dataclass

import keras
from keras import ops

from compression.quantization.fake_quantize import (
    TINY,
    code_limits,
    fake_quantize,
    fake_quantize_steps,
    fake_quantize_weights,
    first_step,
    largest_weights,
    learned_steps,
    mean_size,
    positive,
    require_bits,
)

ACTIVATION_BITS = 8  # LiteRT's kernels know no fewer


@dataclass(frozen=True)
class Seen:
    """What calibration has seen of a tensor.

    Attributes:
        low: its lowest value.
        high: its highest.
        size: mean of its absolute values.
    """

    low: float
    high: float
    size: float


class ActivationRange(keras.Layer):
    """Rounds activations to 256 codes; what is inside is float32 in any precision.

    Subclasses give the ends in `ends`.

    Attributes:
        known: both ends as a file has them, None: those of `ends`.
    """

    known = None

    def __init__(self, **options):
        super().__init__(**options)
        self.supports_masking = True

    @property
    def is_known(self) -> bool:
        """Whether there is a range: one that follows batches needs a first."""
        return True

    def number(self, name, value, trainable=False):
        """A variable of this layer, one float32 number."""
        return self.add_weight(
            name=name,
            shape=(),
            initializer=keras.initializers.Constant(value),
            dtype="float32",
            autocast=False,
            trainable=trainable,
        )

    def ends(self):
        """(low, high), scalars."""
        raise NotImplementedError

    def call(self, x, observe=True):
        """`observe`: whether a range that follows batches follows `x`, too."""
        del observe
        return fake_quantize(x, *(self.known or self.ends()), bits=ACTIVATION_BITS)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable("limbeck")
class LeaveFloat(keras.Layer):
    """Nothing, but that LiteRT's converter leaves what stands before it in float32.

    Between two ranges the converter would quantize any kernel by itself, and here one
    shall stay as it is. It reads no range through float64, of which nothing is left in
    the file.
    """

    def call(self, x, training=False):
        if training or keras.backend.backend() != "tensorflow":
            return x
        return ops.cast(ops.cast(x, "float64"), x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config()  # without it Keras refuses the dtype policy given


@keras.saving.register_keras_serializable("limbeck")
class FixedRange(ActivationRange):
    """A range that the integer kernel itself has, such as tanh's.

    Args:
        low: of it.
        high: of it.
    """

    def __init__(self, low: float, high: float, **options):
        super().__init__(**options)
        self.low = low
        self.high = high

    def ends(self):
        return self.low, self.high

    def get_config(self):
        return super().get_config() | {"low": self.low, "high": self.high}


@keras.saving.register_keras_serializable("limbeck")
class MovingRange(ActivationRange):
    """Moving averages of the batches' lowest and highest values (Jacob, section 3.1).

    The first batch counts whole. Until then, or calibration, the range is 0 to 0 and
    zeros come out.

    Args:
        momentum: of the averages, 0 <= momentum < 1.
        seen: what calibration has seen.
    """

    def __init__(self, momentum: float = 0.99, seen: Seen | None = None, **options):
        super().__init__(**options)
        self.momentum = momentum
        self._seen = seen

    def build(self, input_shape):
        seen = self._seen
        self.low = self.number("low", 0.0 if seen is None else min(seen.low, 0.0))
        self.high = self.number("high", 0.0 if seen is None else max(seen.high, 0.0))
        self.batches = self.number("batches", 0.0 if seen is None else 1.0)

    @property
    def is_known(self):
        return bool(ops.convert_to_numpy(self.batches) > 0)

    def ends(self):
        return self.low, self.high

    def call(self, x, training=None, observe=True):
        if training and observe and self.trainable:
            self._follow(ops.cast(ops.stop_gradient(x), "float32"))
        return super().call(x)

    def _follow(self, x):
        kept = ops.where(self.batches > 0, self.momentum, 0.0)
        low, high = ops.minimum(ops.min(x), 0.0), ops.maximum(ops.max(x), 0.0)
        self.low.assign(kept * self.low + (1 - kept) * low)
        self.high.assign(kept * self.high + (1 - kept) * high)
        self.batches.assign(ops.ones(()))

    def get_config(self):
        return super().get_config() | {"momentum": self.momentum}


@keras.saving.register_keras_serializable("limbeck")
class ClippedRange(ActivationRange):
    """From 0 to a learnt end: PACT.

    Choi et al., "PACT: Parameterized Clipping Activation for Quantized Neural
    Networks" (2018), https://arxiv.org/abs/1805.06085, section 3: its gradient counts
    what lies above it, and it is decayed.

    Args:
        clip: the first end, positive.
        decay: weight of its square in the loss.
    """

    def __init__(self, clip: float, decay: float = 1e-4, **options):
        super().__init__(**options)
        self.first = clip
        self.decay = decay

    def build(self, input_shape):
        self.clip = self.add_weight(
            name="clip",
            shape=(),
            initializer=keras.initializers.Constant(self.first),
            regularizer=keras.regularizers.L2(self.decay),
            dtype="float32",
            autocast=False,
        )

    def ends(self):
        return 0.0, positive(self.clip)

    def get_config(self):
        return super().get_config() | {"clip": self.first, "decay": self.decay}


@keras.saving.register_keras_serializable("limbeck")
class StepRange(ActivationRange):
    """A learnt step: LSQ, see `fake_quantize.learned_steps`.

    Args:
        step: the first one, positive.
        signed: whether zero is in the middle of the codes; else it is the lowest.
    """

    def __init__(self, step: float, signed: bool, **options):
        super().__init__(**options)
        self.first = step
        self.signed = signed

    def build(self, input_shape):
        self.step = self.number("step", self.first, trainable=True)

    @property
    def _codes(self):
        least, most = code_limits(ACTIVATION_BITS)
        return (least, most) if self.signed else (0, most - least)

    def ends(self):
        step = positive(self.step)
        return tuple(step * code for code in self._codes)

    def call(self, x, training=None, observe=True):
        del observe
        if not training:
            return super().call(x)
        least, most = self._codes
        features = math.prod(ops.shape(x)[1:])  # a tensor, of maps of open size
        wide = ops.cast(x, "float32")
        found = learned_steps(
            wide, self.step, least=least, most=most, features=features
        )
        return ops.cast(found, x.dtype)

    def get_config(self):
        return super().get_config() | {"step": self.first, "signed": self.signed}


class KernelQuantizer(keras.Layer):
    """Rounds a kernel to the codes of a symmetric range.

    Args:
        bits: 8 or 4.
        channels: how many of its last axes have ranges of their own, 0: one range.

    Attributes:
        known: the largest weight by channel as a file has it, None: the subclass's.
    """

    known = None

    def __init__(self, bits: int = 8, channels: int = 0, **options):
        super().__init__(**options)
        require_bits(bits)
        self.bits = bits
        self.channels = channels

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config() | {"bits": self.bits, "channels": self.channels}


@keras.saving.register_keras_serializable("limbeck")
class KernelRange(KernelQuantizer):
    """As wide as the largest weight."""

    def largest(self, kernel):
        """The largest weight that is not cut, (number of channels,) or ()."""
        return largest_weights(kernel, bits=self.bits, channels=self.channels)

    def call(self, kernel):
        return fake_quantize_weights(
            kernel, bits=self.bits, channels=self.channels, largest=self.known
        )


@keras.saving.register_keras_serializable("limbeck")
class KernelSteps(KernelQuantizer):
    """With learnt steps: LSQ."""

    def build(self, input_shape):
        shape = input_shape[len(input_shape) - self.channels :]
        self.steps = self.add_weight(
            name="steps",
            shape=(math.prod(shape),) if self.channels else (),
            initializer="ones",
            dtype="float32",
            autocast=False,
        )

    def start(self, kernel) -> None:
        """Sets the steps to those with which the kernel begins."""
        most = code_limits(self.bits, narrow=True)[1]
        size = mean_size(kernel, self.channels)
        steps = first_step(ops.where(size < TINY, 1.0, size), most)
        self.steps.assign(steps)

    def largest(self, kernel):
        """The largest weight that is not cut, (number of channels,) or ()."""
        del kernel
        return positive(self.steps) * code_limits(self.bits, narrow=True)[1]

    def call(self, kernel, training=None):
        if self.known is not None:
            return fake_quantize_weights(
                kernel, bits=self.bits, channels=self.channels, largest=self.known
            )
        return fake_quantize_steps(
            kernel,
            self.steps,
            bits=self.bits,
            channels=self.channels,
            training=bool(training),
        )
