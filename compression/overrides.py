"""Whether a subclass of one of Keras's layers computes as that layer does."""

import keras

COMPUTING = ("call", "convolution_op", "kernel")


def overridden(kind: type) -> str | None:
    """What a subclass of Keras's layer computes in another way; None: nothing."""
    for name in COMPUTING:
        owner = next((each for each in kind.__mro__ if name in vars(each)), keras.Layer)
        if not owner.__module__.startswith("keras."):
            return name
    return None
