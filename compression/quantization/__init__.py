"""Weights and activations in few bits: codes, scales, calibration, and training."""

from compression.quantization.aware import is_quantized, quantize_aware

__all__ = ["is_quantized", "quantize_aware"]
