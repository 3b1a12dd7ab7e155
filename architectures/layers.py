"""The few layers that the classic nets need and Keras lacks."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("limbeck")
class ZeroPaddedShortcut(keras.layers.Layer):
    """Shortcut option A of He et al. (2015), section 3.3: no weights.

    Takes every `stride`-th row and column, starting with the first, and pads the
    channels with zeros, half of them on each side (one more after, when odd).

    Args:
        channels: channels that come out; at least as many as come in.
        stride: step along height and width, at least 1.

    Raises:
        ValueError: fewer channels would come out than go in.
    """

    def __init__(self, channels, *, stride=1, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.stride = stride

    def build(self, input_shape):
        if self.channels < input_shape[-1]:
            raise ValueError(
                f"a zero-padded shortcut cannot drop channels: {input_shape[-1]} go "
                f"in, {self.channels} should come out"
            )
        super().build(input_shape)

    def call(self, inputs):
        missing = self.channels - inputs.shape[-1]
        before = missing // 2
        thinned = inputs[:, :: self.stride, :: self.stride, :]
        return ops.pad(thinned, ((0, 0), (0, 0), (0, 0), (before, missing - before)))

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = input_shape
        thin = [None if n is None else -(-n // self.stride) for n in (height, width)]
        return (batch, *thin, self.channels)

    def get_config(self):
        return super().get_config() | {
            "channels": self.channels,
            "stride": self.stride,
        }
