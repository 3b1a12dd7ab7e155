"""Faster ways to train a net of `limbeck bench nets`, and which one wins.

bfloat16 where the processor or GPU has it, and several steps from one launch of the
graph. Neither changes what is learnt but for rounding.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from experiments.benchmarks import keras_peers, turns
from experiments.training import devices

OURS, TORCH = "limbeck", "PyTorch"
LAUNCH = 5  # steps
HALF, LAUNCHED = "limbeck, bfloat16", f"limbeck, {LAUNCH} a launch"
TORCH_HALF, TORCH_COMPILED = "PyTorch, bfloat16", "PyTorch, compiled"
STEPS = {LAUNCHED: LAUNCH}  # of a call, where it is more than one
# Largest difference of the first loss from limbeck's, over it.
SAME = {HALF: 2e-2, LAUNCHED: 1e-4, TORCH_HALF: 2e-2, TORCH_COMPILED: 1e-4}
WAYS = {OURS: (OURS, HALF, LAUNCHED), TORCH: (TORCH, TORCH_HALF, TORCH_COMPILED)}


def calls(
    build: Callable[[], keras.Model],
    model: keras.Model,
    images: np.ndarray,
    labels: np.ndarray,
) -> dict[str, Callable[[], float]]:
    """way -> call that trains a copy of `model`, as `keras_peers.training` does.

    That of `LAUNCHED` does `LAUNCH` steps.

    Args:
        build: makes the net anew.
        model: has the weights to start from.
        images, labels: of every step.
    """
    with devices.precision("mixed_bfloat16"):
        half = build()
    more = build()
    for copy in (half, more):
        copy.set_weights(model.get_weights())
    train = keras_peers.training
    return {
        HALF: train(half, images, labels),
        LAUNCHED: train(more, images, labels, steps=LAUNCH),
    }


def fastest(seconds: Mapping[str, Sequence[float]]) -> dict[str, Any] | None:
    """Each side's fastest way, and how many times as fast ours is; None without both.

    Args:
        seconds: way -> seconds of a step, one number a round.
    """
    best = {}
    for side, ways in WAYS.items():
        timed = [way for way in ways if way in seconds]
        if not timed:
            return None
        best[side] = min(timed, key=lambda way: turns.spread(seconds[way]).median)
    ours, theirs = (seconds[best[side]] for side in (OURS, TORCH))
    return best | {"times": turns.speed_ratio(ours, theirs)._asdict()}
