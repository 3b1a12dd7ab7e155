"""How a net gets smaller: a `keras.Model` goes in, a `keras.Model` or a file out."""

import sys

if sys.version_info >= (3, 14):
    raise ImportError(
        "Python 3.14 owns the name `compression` (PEP 784); use Python 3.11 to 3.13"
    )


def __getattr__(name):
    # Late: who imports a room of this package need not wait for Keras.
    if name == "as_logits":
        from compression.logits import as_logits

        return as_logits
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
