"""The logits of a teacher for some views, in memory."""

from collections.abc import Iterable

import keras
import numpy as np

from compression import measure
from compression.arguments import shown
from compression.distillation.arguments import require_net


def teacher_logits(teacher: keras.Model, views: Iterable[Iterable]) -> np.ndarray:
    """The teacher's logits for several views (augmentations) of the same images.

    Args:
        teacher: model whose output are logits.
        views: for each view an iterable of batches of images, or of tuples that begin
            with images; always the same images in the same order.

    Returns:
        (views, images, classes) float32.

    Raises:
        ValueError: the views differ in their number of images; or the teacher is no
            model of one output, or the views are none.
    """
    require_net(teacher, "teacher")
    logits = [_logits(teacher, batches, at) for at, batches in enumerate(_each(views))]
    if not logits:
        raise ValueError("views is empty: give at least one, [batches]")
    if len({len(view) for view in logits}) != 1:
        raise ValueError(
            f"views must hold the same images, got {[len(view) for view in logits]}"
        )
    return np.stack(logits)


def _each(views):
    if isinstance(views, str | dict) or not isinstance(views, Iterable):
        raise ValueError(
            "views must be a list of views, each an iterable of batches, got "
            f"{shown(views)}"
        )
    return views


def _logits(teacher, batches, at):
    if isinstance(batches, str | dict) or not isinstance(batches, Iterable):
        raise ValueError(
            f"views[{at}] must be an iterable of batches of images, got "
            f"{shown(batches)}"
        )
    try:
        return measure.logits(teacher, batches)
    except ValueError as error:
        raise ValueError(f"views[{at}]: {error}") from error
