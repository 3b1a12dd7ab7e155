"""How long a training step takes."""

import time

import keras

STEPS = 8


def step_seconds(model: keras.Model, batch: tuple, steps: int = STEPS) -> float:
    """Seconds for `steps` steps of a compiled model, after one that traces.

    Args:
        model: the net or trainer; trained.
        batch: (images, labels) as the training will see them.
        steps: how many are timed together.
    """
    model.train_on_batch(*batch)
    start = time.perf_counter()
    for _ in range(steps):
        model.train_on_batch(*batch)
    return time.perf_counter() - start
