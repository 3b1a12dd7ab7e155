"""tf_keras and tfmot, imported when first needed, their side effects undone.

tfmot works on tf_keras, which is Keras 2; both come with the one package
tensorflow-model-optimization.
"""

import os
from types import ModuleType

import keras

LEGACY = "TF_USE_LEGACY_KERAS"
INSTALL = "pip install tensorflow-model-optimization"


def tf_keras() -> ModuleType:
    """The module `tf_keras`.

    Raises:
        RuntimeError: it is not installed, or Keras runs on another backend than
            TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "tfmot needs Keras on the TensorFlow backend, this is "
            f"{keras.backend.backend()}; limbeck's own pruning, clustering and "
            "quantization run on every backend"
        )
    try:
        import tf_keras as module
    except ImportError as error:
        raise RuntimeError(f"tf_keras is not installed: {INSTALL}") from error
    return module


def tfmot() -> ModuleType:
    """The module `tensorflow_model_optimization`.

    It sets an environment variable that turns `tf.keras` into tf_keras, in processes
    started from this one, too: that is undone. What `tf.keras` is in this process is
    decided when it is first looked at, so it is looked at before.

    Raises:
        RuntimeError: as `tf_keras`.
    """
    tf_keras()
    import tensorflow as tf

    before = os.environ.get(LEGACY)
    getattr(tf.keras, "__version__", None)
    try:
        import tensorflow_model_optimization as module
    except ImportError as error:
        raise RuntimeError(
            f"tensorflow-model-optimization is not installed: {INSTALL}"
        ) from error
    finally:
        if before is None:
            os.environ.pop(LEGACY, None)
        else:
            os.environ[LEGACY] = before
    return module
