"""What a training computes on, and in which precision."""

import contextlib
from collections.abc import Iterator

import keras


@contextlib.contextmanager
def precision(name: str) -> Iterator[None]:
    """Nets built inside compute in that precision: "auto", or one of Keras's policies.

    "auto" is float32 on a CPU, also where bfloat16 would be faster: the same recipe
    gives the same net on processors with and without it.
    """
    before = keras.config.dtype_policy()
    if name == "auto":
        name = "mixed_float16" if gpus() else "float32"
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def gpus() -> list:
    """The GPUs that TensorFlow sees."""
    import tensorflow as tf

    return tf.config.list_physical_devices("GPU")
