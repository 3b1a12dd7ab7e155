"""Quantized twins of layers: the same layer, its kernel rounded where it is used.

They are subclasses of Keras's own, with the same weights under the same names, so
whatever finds, counts or masks kernels goes on doing it.
"""

import keras
from keras import layers, ops

from compression.overrides import overridden
from compression.quantization.fake_quantize import fake_quantize_weights
from compression.quantization.learnt_rounding import LearntRounding
from compression.quantization.ranges import KernelRange, KernelSteps

KERNEL_QUANTIZERS = {
    "range": KernelRange,
    "steps": KernelSteps,
    "learnt": LearntRounding,
}


class Quantized:
    """What the twins share: bits, and who rounds the kernel.

    Args:
        bits: 8 or 4, of the weights.
        rounding: "range", as wide as the largest weight; "steps", learnt; or "learnt",
            up or down in such a range.
    """

    channels = 1  # how many of a kernel's last axes have ranges of their own

    def __init__(self, *args, bits: int = 8, rounding: str = "range", **options):
        super().__init__(*args, **options)
        self.bits = bits
        self.rounding = rounding
        self.kernel_quantizer = KERNEL_QUANTIZERS[rounding](
            bits, self.channels, name="kernel_quantizer", dtype=self.dtype_policy
        )

    def build(self, input_shape):
        super().build(input_shape)
        self.kernel_quantizer.build(tuple(self.kernel.shape))

    def start(self) -> None:
        """Sets what is learnt to that with which the kernel begins."""
        if not isinstance(self.kernel_quantizer, KernelRange):
            self.kernel_quantizer.start(self.kernel)

    def finish(self, x):
        """`x` with the bias, activated."""
        if self.use_bias:
            x = x + ops.cast(self.bias, x.dtype)
        return x if self.activation is None else self.activation(x)

    def get_config(self):
        return super().get_config() | {"bits": self.bits, "rounding": self.rounding}


@keras.saving.register_keras_serializable("limbeck")
class QuantizedConv2D(Quantized, layers.Conv2D):
    """A range for each output channel; grouped convolutions too."""

    def call(self, x):
        kernel = self.kernel_quantizer(self.kernel)
        return self.finish(self.convolution_op(x, kernel))


@keras.saving.register_keras_serializable("limbeck")
class QuantizedDepthwiseConv2D(Quantized, layers.DepthwiseConv2D):
    """A range for each output channel."""

    channels = 2

    def call(self, x):
        return self.finish(
            ops.depthwise_conv(
                x,
                self.kernel_quantizer(self.kernel),
                strides=self.strides,
                padding=self.padding,
                dilation_rate=self.dilation_rate,
                data_format=self.data_format,
            )
        )


@keras.saving.register_keras_serializable("limbeck")
class QuantizedConv2DTranspose(Quantized, layers.Conv2DTranspose):
    """One range: LiteRT's converter takes no more from fake quantization."""

    channels = 0

    def call(self, x):
        return self.finish(
            ops.conv_transpose(
                x,
                self.kernel_quantizer(self.kernel),
                strides=list(self.strides),
                padding=self.padding,
                output_padding=self.output_padding,
                dilation_rate=self.dilation_rate,
                data_format=self.data_format,
            )
        )


@keras.saving.register_keras_serializable("limbeck")
class QuantizedDense(Quantized, layers.Dense):
    """One range: LiteRT's converter takes no more from fake quantization."""

    channels = 0

    def call(self, x, training=None):
        del training
        return self.finish(ops.matmul(x, self.kernel_quantizer(self.kernel)))


@keras.saving.register_keras_serializable("limbeck")
class FreezingBatchNormalization(layers.BatchNormalization):
    """Batch norm whose statistics stand still after a while (Krishnamoorthi 2018).

    Section 3.2.2 of https://arxiv.org/abs/1806.08342: in training it normalises by the
    batch's statistics first and by the moving ones later, as inference does.

    Folded into the convolution before it, it multiplies each channel of a kernel, and
    with it that channel's scale: the codes stay the same. So a folded net is this one,
    and no kernel need be folded to train it.

    Args:
        freeze_after: training steps with the batch's statistics; None: all.
    """

    def __init__(self, *args, freeze_after: int | None = None, **options):
        super().__init__(*args, **options)
        self.freeze_after = freeze_after

    def build(self, input_shape):
        super().build(input_shape)
        self.steps = self.add_weight(
            name="steps", shape=(), initializer="zeros", dtype="int32", trainable=False
        )

    def call(self, x, training=None, mask=None):
        if not training or not self.trainable:
            return super().call(x, training=False, mask=mask)
        moving = [
            ops.cast(each, "float32")
            for each in (self.moving_mean, self.moving_variance)
        ]
        wide = ops.cast(x, "float32")
        kept = self.momentum
        if self.freeze_after is None:
            found, *batch = self._by_batch(wide)
        else:
            frozen = self.steps >= self.freeze_after
            # Devices exchange sums, which none may do in a branch.
            ready = self._by_batch(wide) if self.synchronized else None
            found, *batch = ops.cond(
                frozen,
                lambda: (self._normalised(wide, *moving), *moving),
                lambda: ready or self._by_batch(wide),
            )
            kept = ops.where(frozen, 1.0, kept)
        self.moving_mean.assign(kept * moving[0] + (1 - kept) * batch[0])
        self.moving_variance.assign(kept * moving[1] + (1 - kept) * batch[1])
        self.steps.assign_add(1)
        return ops.cast(found, self.compute_dtype)

    def _by_batch(self, x):
        """(outputs, mean, variance) of a batch, float32; the variance is biased."""
        fuses = keras.backend.backend() == "tensorflow" and len(x.shape) == 4
        fuses = fuses and not self.synchronized
        if not (fuses and self.axis in (-1, 3) and self.scale and self.center):
            return self._by_whole_batch(x)
        import tensorflow as tf  # only where it is the backend

        found, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=ops.cast(self.gamma, "float32"),
            offset=ops.cast(self.beta, "float32"),
            mean=[],  # of the batch: nothing is given
            variance=[],
            epsilon=self.epsilon,
            is_training=True,
        )
        count = ops.cast(ops.size(x[..., 0]), "float32")
        return found, mean, variance * (1 - 1 / count)

    def _by_whole_batch(self, x):
        """Likewise, of the parts of a batch on all devices together."""
        axes = [i for i in range(len(x.shape)) if i != self.axis % len(x.shape)]
        mean, variance = ops.moments(x, axes, synchronized=self.synchronized)
        return self._normalised(x, mean, variance), mean, variance

    def _normalised(self, x, mean, variance):
        return ops.batch_normalization(
            x,
            mean,
            variance,
            axis=self.axis,
            offset=None if self.beta is None else ops.cast(self.beta, "float32"),
            scale=None if self.gamma is None else ops.cast(self.gamma, "float32"),
            epsilon=self.epsilon,
        )

    def get_config(self):
        return super().get_config() | {"freeze_after": self.freeze_after}


@keras.saving.register_keras_serializable("limbeck")
class ChannelwiseBatchNormalization(FreezingBatchNormalization):
    """Batch norm that no convolution stands before, as an operator of its own.

    A 1x1 depthwise convolution with a kernel of ones goes first: folded, batch norm
    becomes the kernel, one factor for each channel.

    Attributes:
        known: as `KernelQuantizer` has it, of the ones.
    """

    known = None

    def call(self, x, training=None, mask=None):
        channels = x.shape[-1]
        ones = ops.ones((1, 1, channels), dtype=self.compute_dtype)
        ones = fake_quantize_weights(ones, channels=1, largest=self.known)
        flat = len(x.shape) == 2
        x = ops.reshape(x, (-1, 1, 1, channels)) if flat else x
        ones = ops.reshape(ones, (1, 1, channels, 1))
        x = ops.depthwise_conv(x, ones, data_format="channels_last")
        x = super().call(x, training=training, mask=mask)
        return ops.reshape(x, (-1, channels)) if flat else x


TWINS = {
    layers.Conv2D: QuantizedConv2D,
    layers.DepthwiseConv2D: QuantizedDepthwiseConv2D,
    layers.Conv2DTranspose: QuantizedConv2DTranspose,
    layers.Dense: QuantizedDense,
}


def twin_of(
    layer: keras.Layer, *, bits: int = 8, rounding: str = "range", **changed
) -> keras.Layer:
    """The quantized twin of a layer that has one, not built yet.

    Args:
        layer: with a kernel.
        bits: of the weights; transposed convolutions keep 8, for want of a kernel.
        rounding: as `Quantized` takes it.
        changed: what else its config shall hold.
    """
    bits = 8 if isinstance(layer, layers.Conv2DTranspose) else bits
    options = {"bits": bits, "rounding": rounding, **changed}
    original = _computes_as(layer)  # whose options its subclasses may add to
    return TWINS[original].from_config(original.get_config(layer) | options)


def twin_class(layer: keras.Layer) -> type | None:
    """The class of its quantized twin; None where there is none.

    A subclass that computes something else of its own has none either.
    """
    return TWINS.get(_computes_as(layer))


def _computes_as(layer):
    """The class of Keras's own that computes the same; None where none does."""
    for original in TWINS:
        if isinstance(layer, original) and overridden(type(layer)) is None:
            return original
    return None
