"""Rounding of weights that is learnt: AdaRound's rectified sigmoid."""

import keras
import numpy as np
from keras import ops

from compression.quantization.fake_quantize import code_limits, weight_scales
from compression.quantization.ranges import KernelQuantizer

# Equation 23 of the paper: the sigmoid is stretched to [-0.1, 1.1] and cut to [0, 1].
STRETCH = (-0.1, 1.1)
ON_GRID = 1e-3  # of a step: weights this near to a code have it


@keras.saving.register_keras_serializable("limbeck")
class LearntRounding(KernelQuantizer):
    """Each weight goes up or down to a code as a variable of its own has it.

    Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization" (2020),
    https://arxiv.org/abs/2004.10568, section 3.3. While it is `soft`, a weight is
    between its two codes, h of the way up; otherwise at one. Weights that are codes
    already, the largest of each range and zeros among them, stay: so the range, and
    with it the scale, is the same afterwards.
    """

    soft = False

    def build(self, input_shape):
        self.shape = tuple(input_shape)
        options = {"shape": self.shape, "dtype": "float32", "autocast": False}
        self.upwards = self.add_weight(name="upwards", initializer="zeros", **options)
        fixed = options | {"initializer": "zeros", "trainable": False}
        self.lower = self.add_weight(name="lower", **fixed)
        self.free = self.add_weight(name="free", **fixed)
        self.scales = self.add_weight(name="scales", **fixed)

    def start(self, kernel) -> None:
        """Begins with each weight as it is: h = w / scale - lower."""
        most = code_limits(self.bits, narrow=True)[1]
        kernel = ops.convert_to_numpy(kernel).astype(np.float64)
        scales = ops.convert_to_numpy(
            weight_scales(kernel, bits=self.bits, channels=self.channels)
        )
        shape = self.shape[len(self.shape) - self.channels :]
        scales = np.broadcast_to(np.reshape(scales, shape), self.shape)
        codes = np.clip(kernel / scales, -most, most)
        nearest = np.rint(codes)
        free = np.abs(codes - nearest) > ON_GRID
        lower = np.where(free, np.floor(codes), nearest)
        low, high = STRETCH
        part = np.clip((codes - lower - low) / (high - low), 1e-6, 1 - 1e-6)
        self.upwards.assign(np.log(part / (1 - part)))
        self.lower.assign(lower)
        self.free.assign(free)
        self.scales.assign(scales)

    def heights(self):
        """h: how far above its lower code each weight is, 0 to 1, equation 23."""
        low, high = STRETCH
        stretched = ops.sigmoid(self.upwards) * (high - low) + low
        return self.free * ops.clip(stretched, 0.0, 1.0)

    def indecision(self, sharpness):
        """Sum of 1 - |2 h - 1|^sharpness, equation 24: none once all h are 0 or 1."""
        # On (0, 1], as the gradient of a power at 0 need not be finite.
        distance = ops.maximum(ops.abs(2 * self.heights() - 1), 1e-6)
        return ops.sum(self.free * (1 - ops.power(distance, sharpness)))

    def call(self, kernel):
        heights = self.heights()
        if not self.soft:
            heights = ops.cast(heights >= 0.5, "float32")
        found = self.scales * (self.lower + heights)
        return ops.cast(found, kernel.dtype)
