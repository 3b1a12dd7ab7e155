"""The few layers that the classic nets need and Keras lacks."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("limbeck")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch norm; trained by TensorFlow's fused kernel where there is one.

    Weights, options, inference and export are Keras's. In training the output is the
    same to rounding, and faster: ResNet-20's train step (batch 128, two CPU cores)
    took three quarters of the time in `limbeck bench nets`. One thing differs: as in
    PyTorch, the moving variance averages a batch's unbiased variance, n / (n - 1)
    times the biased one that Keras averages, n being its pixels.

    Whatever the kernel cannot do (a mask, another axis than the last of four, renorm,
    synchronisation, no scale or offset, float64) is done by Keras.
    """

    def call(self, inputs, training=None, mask=None):
        if not (training and self.trainable and mask is None):
            return super().call(inputs, training=training, mask=mask)
        if self.synchronized:
            kept = self.momentum * ops.cast(self.moving_variance, "float32")
            outputs = super().call(inputs, training=True)
            self._take_unbiased(kept, self._replicas() * ops.size(inputs))
            return outputs
        if not self._fuses(inputs):
            return super().call(inputs, training=True)
        import tensorflow as tf  # only where it is the backend: the room is Keras's

        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,  # in half the digits, too: the kernel sums in float32
            scale=ops.cast(self.gamma, "float32"),
            offset=ops.cast(self.beta, "float32"),
            mean=[],  # of the batch: nothing is given
            variance=[],
            epsilon=self.epsilon,
            is_training=True,
        )
        for moving, batch in (
            (self.moving_mean, mean),
            (self.moving_variance, variance),
        ):
            kept = self.momentum * ops.cast(moving, "float32")
            moving.assign(kept + (1 - self.momentum) * batch)
        return ops.cast(outputs, self.compute_dtype)

    def _take_unbiased(self, kept, size):
        """Between devices Keras averages biased variances, here, too.

        Args:
            kept: what the moving variance has kept of itself.
            size: of what the batch's variance is of, on all devices.
        """
        count = ops.cast(size, "float32") / self.moving_variance.shape[0]
        batch = ops.cast(self.moving_variance, "float32") - kept
        self.moving_variance.assign(kept + batch * count / (count - 1))

    def _replicas(self):
        import tensorflow as tf  # Keras synchronises on no other backend

        context = tf.distribute.get_replica_context()
        return 1 if context is None else context.num_replicas_in_sync

    def _fuses(self, inputs):
        return (
            keras.backend.backend() == "tensorflow"
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and self.scale
            and self.center
            and not self.renorm
            and keras.backend.standardize_dtype(inputs.dtype) != "float64"
        )


@keras.saving.register_keras_serializable("limbeck")
class LocalResponseNormalization(keras.layers.Layer):
    """Divides by the energy of the neighbouring channels (AlexNet, section 3.3).

    x / (bias + scale * s)^power, where s is the sum of x^2 over `size` channels, the
    own one in the middle (fewer at either end). The paper writes k, n, alpha, beta for
    `bias`, `size`, `scale`, `power`.

    Mind `scale`: the paper and TensorFlow multiply the sum by it, Caffe and PyTorch
    multiply the mean over `size`, so their alpha is `scale * size` (PyTorch's
    `LocalResponseNorm(5, alpha=1e-4)` is `size=5, scale=1e-4 / 5`). Caffe's and
    PyTorch's k is 1 by default, the paper's is 2.

    Runs in float32 also under half precision, whose squares overflow. On the
    TensorFlow backend it is TensorFlow's own kernel, which becomes one builtin
    operator of LiteRT.

    Args:
        size: channels in the sum, odd.
        bias: positive.
        scale: not negative.
        power: not negative.

    Raises:
        ValueError: a number is out of its range, or the input is not (batch, height,
            width, channels).
    """

    output_range = "own"  # of fake quantization; LiteRT's kernel is in float32

    def __init__(self, size=5, *, bias=2.0, scale=1e-4, power=0.75, **kwargs):
        super().__init__(**kwargs)
        if size < 1 or size % 2 == 0:
            raise ValueError(f"size must be odd and positive, got {size}")
        if bias <= 0 or scale < 0 or power < 0:
            raise ValueError(
                "bias must be positive, scale and power not negative, got "
                f"bias {bias}, scale {scale}, power {power}"
            )
        self.size = size
        self.bias = bias
        self.scale = scale
        self.power = power

    def build(self, input_shape):
        if len(input_shape) != 4:
            raise ValueError(
                "local response normalisation takes (batch, height, width, channels), "
                f"got {input_shape}"
            )
        super().build(input_shape)

    def call(self, inputs):
        x = ops.cast(inputs, "float32")
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf  # only where it is the backend: the room is Keras's

            x = tf.nn.local_response_normalization(
                x, self.size // 2, bias=self.bias, alpha=self.scale, beta=self.power
            )
        else:
            x = x * ops.power(self.bias + self.scale * self._energy(x), -self.power)
        return ops.cast(x, self.compute_dtype)

    def _energy(self, x):
        reach, channels = self.size // 2, x.shape[-1]
        squares = ops.pad(ops.square(x), ((0, 0),) * 3 + ((reach, reach),))
        return sum(squares[..., i : i + channels] for i in range(self.size))

    def compute_output_shape(self, input_shape):
        return input_shape

    def channel_sources(self, channels):
        """Channel i of the output is channel i of the input, divided.

        Where channels between others are removed the neighbours change, and with them
        the energy: by little, and training goes on.
        """
        return range(channels)

    def get_config(self):
        return super().get_config() | {
            "size": self.size,
            "bias": self.bias,
            "scale": self.scale,
            "power": self.power,
        }


@keras.saving.register_keras_serializable("limbeck")
class ZeroPaddedShortcut(keras.layers.Layer):
    """Shortcut option A of He et al. (2015), section 3.3: no weights.

    Takes every `stride`-th row and column, starting with the first, and pads the
    channels with zeros, half of them on each side (one more after, when odd).

    Args:
        channels: channels that come out; at least as many as come in.
        stride: step along height and width, at least 1.
        before: channels of zeros in front; None: half of them. Another number is for
            nets that have lost channels.

    Raises:
        ValueError: fewer channels would come out than go in.
    """

    output_range = "kept"  # of fake quantization: inputs and zeros come out

    def __init__(self, channels, *, stride=1, before=None, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.stride = stride
        self.before = before

    def build(self, input_shape):
        if self.channels < input_shape[-1] + (self.before or 0):
            raise ValueError(
                f"a zero-padded shortcut cannot drop channels: {input_shape[-1]} go "
                f"in{f' behind {self.before}' if self.before else ''}, "
                f"{self.channels} should come out"
            )
        self._given = input_shape[-1]
        super().build(input_shape)

    def call(self, inputs):
        around = self._around(inputs.shape[-1])
        thinned = inputs[:, :: self.stride, :: self.stride, :]
        return ops.pad(thinned, ((0, 0), (0, 0), (0, 0), around))

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = input_shape
        thin = [None if n is None else -(-n // self.stride) for n in (height, width)]
        return (batch, *thin, self.channels)

    def channel_sources(self, channels):
        """The input's in the middle, new ones (-1) of zeros around them."""
        before, after = self._around(channels)
        return [-1] * before + list(range(channels)) + [-1] * after

    def keep_channels(self, inputs, outputs):
        """The shortcut from only `inputs` to only `outputs`, numbers in order."""
        middle = self._around(self._given)[0] + inputs[0]
        config = self.get_config() | {
            "channels": len(outputs),
            "before": int((outputs < middle).sum()),
        }
        return type(self).from_config(config)

    def _around(self, channels):
        missing = self.channels - channels
        before = missing // 2 if self.before is None else self.before
        return before, missing - before

    def get_config(self):
        config = super().get_config() | {
            "channels": self.channels,
            "stride": self.stride,
        }
        return config if self.before is None else config | {"before": self.before}
