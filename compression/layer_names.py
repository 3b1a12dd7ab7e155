"""Names of layers that TensorFlow compiles: other ones fail there, in many lines.

Keras takes any name without a slash, and JAX and PyTorch train such nets. In a graph
of TensorFlow a layer's name is a scope, and scopes have an alphabet.
"""

import re

import keras

from compression.graph import all_layers

SCOPE = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_./>-]*")


def require_compilable_names(model: keras.Model) -> None:
    """Raises ValueError, with a better name, for one that TensorFlow does not take."""
    if keras.backend.backend() != "tensorflow":
        return
    for layer in all_layers(model):
        if not SCOPE.fullmatch(layer.name):
            better = re.sub(r"[^A-Za-z0-9_.-]", "_", layer.name).lstrip("_-") or "layer"
            raise ValueError(
                f"TensorFlow compiles no layer called {layer.name!r}: rename it, "
                f"layer.name = {better!r} (letters of ASCII, digits, _ . and -)"
            )
