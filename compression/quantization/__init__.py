"""Weights and activations in few bits: codes, scales, calibration, and training.

`Cluster` and `share_weights` leave a kernel a few values; `sensitivity` says what each
layer costs in few bits, `mixed_precision` chooses bits by it.
"""

from compression.quantization.adaptive_rounding import adaround
from compression.quantization.aware import quantize_aware
from compression.quantization.bias_correction import correct_bias
from compression.quantization.clustering import Cluster
from compression.quantization.equalisation import equalise
from compression.quantization.folding import fold_batch_norm
from compression.quantization.insertion import is_quantized, without_kernel
from compression.quantization.mixed import Mixed, mixed_precision
from compression.quantization.post_training import calibrate
from compression.quantization.precision_plan import (
    PrecisionPlan,
    load_precision_plan,
    quantize_by_plan,
)
from compression.quantization.sensitivity import LayerCost, sensitivity
from compression.quantization.weight_sharing import share_weights

__all__ = [
    "Cluster",
    "LayerCost",
    "Mixed",
    "PrecisionPlan",
    "adaround",
    "calibrate",
    "correct_bias",
    "equalise",
    "fold_batch_norm",
    "is_quantized",
    "load_precision_plan",
    "mixed_precision",
    "quantize_aware",
    "quantize_by_plan",
    "sensitivity",
    "share_weights",
    "without_kernel",
]
