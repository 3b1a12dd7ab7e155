"""When tfmot finds new masks: our schedules and its own.

Ours are functions of the step that give the sparsity; tfmot's say also whether a step
is due, every `frequency` steps. Its steps begin with 1, ours with 0.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from compression.arguments import shown
from compression.tfmot.packages import tfmot


def schedule_of(given: Callable[[int], float] | Any, steps: int):
    """A schedule of tfmot that gives what `given` does in a training of `steps` steps.

    Args:
        given: of limbeck, any function of the step from 0; masks are found when its
            value moves. Or a `PruningSchedule` of tfmot, taken as it is.
        steps: of the whole training.

    Raises:
        ValueError: it is no schedule, or would prune at no step.
    """
    base = tfmot().sparsity.keras.PruningSchedule
    if isinstance(given, base):
        _require_due(given, steps)
        return given
    if not callable(given):
        raise ValueError(
            "schedule must be a function of the step, as ConstantSparsity(0.8) is, or "
            f"a PruningSchedule of tfmot, got {shown(given)}"
        )
    wanted = [float(given(step)) for step in range(steps)]
    if not any(wanted):
        raise ValueError(
            f"{given} prunes nothing in the {steps} steps of this training: let it "
            "begin earlier, or train longer"
        )
    return _table()(wanted)


def final_sparsity(schedule, steps: int) -> float:
    """What a schedule of tfmot asks for at the last step that is due."""
    if hasattr(schedule, "sparsities"):
        return schedule.sparsities[-1]
    end = getattr(schedule, "end_step", -1)
    last = steps if end == -1 else min(steps, end)
    due = (schedule(step) for step in range(last, 0, -1))
    return next((float(sparsity) for is_due, sparsity in due if bool(is_due)), 0.0)


def _require_due(schedule, steps):
    begin, end = getattr(schedule, "begin_step", None), getattr(schedule, "end_step", 0)
    frequency = getattr(schedule, "frequency", None)
    if begin is None or frequency is None:
        return  # somebody's own
    last = steps if end == -1 else min(steps, end)
    first = begin if begin > 0 else frequency  # steps begin with 1
    if first > last:
        raise ValueError(
            f"{type(schedule).__name__} would never prune: with begin_step={begin} and "
            f"frequency={frequency} the first step that is due is {first}, and the "
            f"training has {steps} steps (end_step={end}); give a smaller frequency, "
            "or one of limbeck's schedules"
        )
    due = last - (last - begin) % frequency
    asked, final = float(schedule(due)[1]), getattr(schedule, "final_sparsity", None)
    if final is not None and asked < final - 1e-6:
        warnings.warn(
            f"{type(schedule).__name__} ends at a sparsity of {asked:.3f}, not "
            f"{final:.3f}: the last step that is due is {due} of {steps}",
            stacklevel=4,
        )


def _table():
    """A class of tfmot's, made when it is imported."""
    import tensorflow as tf

    class Table(tfmot().sparsity.keras.PruningSchedule):
        """Sparsities by step; due when they move."""

        def __init__(self, sparsities):
            self.sparsities = list(sparsities)
            before = np.concatenate([[0.0], self.sparsities[:-1]])
            self.due = np.not_equal(self.sparsities, before)

        def __call__(self, step):
            at = tf.clip_by_value(tf.cast(step, tf.int32) - 1, 0, len(self.due) - 1)
            sparsities = tf.constant(self.sparsities, tf.float32)
            return tf.gather(tf.constant(self.due), at), tf.gather(sparsities, at)

        def get_config(self):
            return {"class_name": "Table", "config": {"sparsities": self.sparsities}}

    return Table
