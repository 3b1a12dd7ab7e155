"""tfmot, TensorFlow's model optimization toolkit, on models of Keras 3.

The only room that knows tf_keras. A model goes over to it, layer by layer, is pruned,
clustered or quantized there as tfmot does it, and its weights come back. Neither is
imported before one of these functions is called.
"""

from compression.tfmot.bridge import to_tf_keras, weights_back
from compression.tfmot.clustering import cluster
from compression.tfmot.pruning import prune
from compression.tfmot.quantizing import quantize
from compression.tfmot.training import Training

__all__ = [
    "Training",
    "cluster",
    "prune",
    "quantize",
    "to_tf_keras",
    "weights_back",
]
