"""Is the training step faster when XLA compiles it? Measured, not guessed."""

from collections.abc import Callable

import keras
from keras import ops

from experiments.training.step_time import step_seconds


def faster_compiled(model: keras.Model, compile_with: Callable, batch: tuple) -> bool:
    """Whether steps on `batch` are faster with `jit_compile`; `model` stays as it is.

    Where XLA cannot compile the step, one printed line says so, and the answer is no.

    Args:
        model: the net or trainer.
        compile_with: compiles `model`, given the value for `jit_compile`.
        batch: (images, labels) as the training will see them.
    """
    before = [ops.convert_to_numpy(v) for v in model.variables]
    try:
        plain = _seconds(model, compile_with, batch, jit_compile=False)
        compiled = _seconds_compiled(model, compile_with, batch)
    finally:
        for variable, value in zip(model.variables, before, strict=True):
            variable.assign(value)
    return compiled < plain


def _seconds(model, compile_with, batch, *, jit_compile):
    compile_with(jit_compile)
    return step_seconds(model, batch)


def _seconds_compiled(model, compile_with, batch):
    try:
        return _seconds(model, compile_with, batch, jit_compile=True)
    except Exception as error:  # whatever XLA lacks: the step ran without it
        [reason, *_] = str(error).strip().splitlines() or [type(error).__name__]
        print(
            f"{model.name}: trained without XLA, which cannot compile its step "
            f"({type(error).__name__}: {reason})"
        )
        compile_with(False)  # drops the step that failed, and its optimizer
        return float("inf")
