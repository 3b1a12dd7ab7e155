"""A teacher's outputs, computed once and replayed instead of running it every step."""

from collections.abc import Iterable

import keras
import numpy as np


def teacher_logits(teacher: keras.Model, views: Iterable[Iterable]) -> np.ndarray:
    """The teacher's logits for several views (augmentations) of the same images.

    Args:
        teacher: model whose output are logits.
        views: for each view an iterable of batches of images, always the same images
            in the same order.

    Returns:
        (views, images, classes) float32.

    Raises:
        ValueError: the views differ in their number of images.
    """
    logits = [
        np.concatenate(
            [keras.ops.convert_to_numpy(teacher.predict_on_batch(b)) for b in batches]
        )
        for batches in views
    ]
    if len({len(view) for view in logits}) != 1:
        raise ValueError(
            f"views must hold the same images, got {[len(view) for view in logits]}"
        )
    return np.stack(logits).astype("float32")
