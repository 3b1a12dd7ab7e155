"""Is the training step faster when XLA compiles it? Measured, not guessed."""

import time
from collections.abc import Callable

import keras
from keras import ops

STEPS = 8


def faster_compiled(model: keras.Model, compile_with: Callable, batch: tuple) -> bool:
    """Whether steps on `batch` are faster with `jit_compile`; `model` stays as it is.

    Args:
        model: the net or trainer.
        compile_with: compiles `model`, given the value for `jit_compile`.
        batch: (images, labels) as the training will see them.
    """
    before = [ops.convert_to_numpy(v) for v in model.variables]
    seconds = {}
    for jit_compile in (False, True):
        compile_with(jit_compile)
        model.train_on_batch(*batch)  # traces and compiles
        start = time.perf_counter()
        for _ in range(STEPS):
            model.train_on_batch(*batch)
        seconds[jit_compile] = time.perf_counter() - start
    for variable, value in zip(model.variables, before, strict=True):
        variable.assign(value)
    return seconds[True] < seconds[False]
