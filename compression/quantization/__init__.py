"""Weights and activations in few bits: codes, scales, calibration, and training."""

from compression.quantization.adaptive_rounding import adaround
from compression.quantization.aware import quantize_aware
from compression.quantization.bias_correction import correct_bias
from compression.quantization.equalisation import equalise
from compression.quantization.folding import fold_batch_norm
from compression.quantization.insertion import is_quantized
from compression.quantization.post_training import calibrate

__all__ = [
    "adaround",
    "calibrate",
    "correct_bias",
    "equalise",
    "fold_batch_norm",
    "is_quantized",
    "quantize_aware",
]
