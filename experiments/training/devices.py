"""What a training computes on, and in which precision."""

import contextlib
from collections.abc import Iterator

import keras

from experiments.training.settings import Training


@contextlib.contextmanager
def precision(settings: Training) -> Iterator[None]:
    """Nets built inside compute in the settings' precision."""
    before = keras.config.dtype_policy()
    chosen = settings.precision
    if chosen == "auto":
        chosen = "mixed_float16" if gpus() else "float32"
    keras.config.set_dtype_policy(chosen)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def gpus() -> list:
    """The GPUs that TensorFlow sees."""
    import tensorflow as tf

    return tf.config.list_physical_devices("GPU")
