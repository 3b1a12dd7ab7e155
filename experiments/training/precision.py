"""Is the training step faster in bfloat16? Measured, as for XLA."""

from collections.abc import Callable

import keras

from experiments.training.devices import precision
from experiments.training.optimizers import LabelLoss
from experiments.training.step_time import step_seconds

FULL, HALF = "float32", "mixed_bfloat16"
ROUNDS = 3  # of each in turn, the fastest counts: other programs may run
WORTH = 0.95  # of float32's time; what gains less is not worth the digits it loses


def faster_precision(build: Callable[[], keras.Model], batch: tuple) -> str:
    """Mixed bfloat16 where it saves a twentieth of a step's time, else float32.

    Processors without instructions for bfloat16 (AVX512-BF16, AMX) are slower in it.
    Random numbers are drawn for the nets that are timed: seed anew afterwards.

    Args:
        build: makes the net or trainer, as the precision in force at the time has it.
        batch: (images, labels) as the training will see them.

    Returns:
        "float32" or "mixed_bfloat16".
    """
    models = {}
    for name in (FULL, HALF):
        with precision(name):
            models[name] = build()
        models[name].compile("sgd", loss=LabelLoss(), jit_compile=False)
    seconds = [
        {name: step_seconds(model, batch) for name, model in models.items()}
        for _ in range(ROUNDS)
    ]
    full, half = (min(times[name] for times in seconds) for name in (FULL, HALF))
    return HALF if half < WORTH * full else FULL
