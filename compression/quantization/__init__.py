"""Weights and activations in few bits: codes, scales, calibration, and training."""

from compression.quantization.aware import quantize_aware
from compression.quantization.insertion import is_quantized
from compression.quantization.post_training import calibrate

__all__ = ["calibrate", "is_quantized", "quantize_aware"]
