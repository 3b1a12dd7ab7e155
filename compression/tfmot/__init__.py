"""tfmot, TensorFlow's model optimization toolkit, on models of Keras 3.

The only room that knows tf_keras. A model goes over to it, layer by layer, is pruned,
clustered or quantized there as tfmot does it, and its weights come back. Neither is
imported before one of these functions is called.
"""

from compression.tfmot.bridge import to_tf_keras, weights_back

__all__ = ["to_tf_keras", "weights_back"]
