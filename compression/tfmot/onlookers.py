"""Callbacks of Keras 3 that look on while tf_keras trains: progress, a record."""

import keras

from compression.tfmot.packages import tf_keras

HOOKS = (
    "on_train_begin",
    "on_train_end",
    "on_epoch_begin",
    "on_epoch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
)


def looking_on(callback: keras.callbacks.Callback):
    """A callback of tf_keras that passes on to `callback` all that it is told.

    Args:
        callback: reads steps and logs; it has no model.
    """

    def passing(hook):
        return lambda self, *given: getattr(callback, hook)(*given)

    methods = {hook: passing(hook) for hook in ("set_params", *HOOKS)}
    return type("Onlooker", (tf_keras().callbacks.Callback,), methods)()
