"""What a model or an exported file weighs, costs and gets right.

`profile` answers everything of one; `latencies` times several against each other in
one run. Models in memory, .keras files, .tflite files and SavedModel folders alike.
"""

from compression.measure.latency import Latency, latencies
from compression.measure.macs import LayerCall, layer_calls, macs
from compression.measure.parameters import Parameters, parameters
from compression.measure.profiles import Profile, profile
from compression.measure.scores import (
    accuracy,
    agreement,
    cross_entropy,
    errors_by_class,
    logits,
    top_accuracy,
)
from compression.measure.sizes import size, zipped_size

__all__ = [
    "Latency",
    "LayerCall",
    "Parameters",
    "Profile",
    "accuracy",
    "agreement",
    "cross_entropy",
    "errors_by_class",
    "latencies",
    "layer_calls",
    "logits",
    "macs",
    "parameters",
    "profile",
    "size",
    "top_accuracy",
    "zipped_size",
]
