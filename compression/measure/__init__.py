"""What a model or an exported file weighs, costs and gets right.

`profile` answers everything of one; `latencies` times several against each other in
one run. Models in memory, .keras files, .tflite files and SavedModel folders alike.
`mean_logits` answers from several crops or scales of an image; `board` runs a .tflite
file in TensorFlow Lite Micro; `kernel_values` counts the values of each kernel.
"""

from compression.answers import agreement
from compression.measure.activations import peak_activations
from compression.measure.board import Board, board
from compression.measure.crops import (
    at_scales,
    googlenet_crops,
    grid_crops,
    mean_logits,
    ten_crops,
)
from compression.measure.kernel_values import KernelValues, kernel_values
from compression.measure.latency import Latency, latencies
from compression.measure.macs import LayerCall, layer_calls, macs
from compression.measure.parameters import Parameters, parameters
from compression.measure.profiles import Profile, profile
from compression.measure.scores import (
    accuracy,
    cross_entropy,
    errors_by_class,
    logits,
    top_accuracy,
)
from compression.measure.sizes import encoded_size, size, zipped_size

__all__ = [
    "Board",
    "Latency",
    "KernelValues",
    "LayerCall",
    "Parameters",
    "Profile",
    "accuracy",
    "agreement",
    "at_scales",
    "board",
    "cross_entropy",
    "encoded_size",
    "errors_by_class",
    "googlenet_crops",
    "grid_crops",
    "kernel_values",
    "latencies",
    "layer_calls",
    "logits",
    "macs",
    "mean_logits",
    "parameters",
    "peak_activations",
    "profile",
    "size",
    "ten_crops",
    "top_accuracy",
    "zipped_size",
]
