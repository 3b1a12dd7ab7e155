"""Weights and activations in few bits: codes, scales, calibration, and training.

`sensitivity` says what each layer costs, `mixed_precision` chooses bits by it.
"""

from compression.quantization.aware import is_quantized, quantize_aware
from compression.quantization.mixed import Mixed, mixed_precision
from compression.quantization.precision_plan import (
    PrecisionPlan,
    load_precision_plan,
    quantize_by_plan,
)
from compression.quantization.sensitivity import LayerCost, sensitivity

__all__ = [
    "LayerCost",
    "Mixed",
    "PrecisionPlan",
    "is_quantized",
    "load_precision_plan",
    "mixed_precision",
    "quantize_aware",
    "quantize_by_plan",
    "sensitivity",
]
