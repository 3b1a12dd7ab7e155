"""The classes that two nets answer on the same images: whether they agree. Plain numpy.

One logit z an image, (n, 1), stands for two classes with logits (0, z): z above 0 is
class 1. NaN and infinite logits are refused: their argmax would be a class, too.
"""

import numpy as np


def agreement(logits: np.ndarray, reference: np.ndarray) -> float:
    """Fraction of images for which both have their largest logit at the same class.

    Args:
        logits: (n, classes), or (n, 1) for two classes.
        reference: logits of the same images, likewise.

    Raises:
        ValueError: the shapes differ, there are no images, or logits are not finite.
    """
    logits, reference = np.asarray(logits), np.asarray(reference)
    ours, theirs = two_classes(logits), two_classes(reference)
    if ours.shape != theirs.shape or ours.ndim != 2 or not len(ours):
        raise ValueError(
            "both must be logits (n, classes) of the same images, "
            f"got {logits.shape} and {reference.shape}"
        )
    require_finite(ours, "the model")
    require_finite(theirs, "the reference")
    return float((ours.argmax(axis=1) == theirs.argmax(axis=1)).mean())


def require_finite(logits: np.ndarray, name: str) -> np.ndarray:
    """The logits, if all are finite: others are no answer.

    Args:
        logits: (n, classes).
        name: of the model or file that they are of.

    Raises:
        ValueError: some are NaN or infinite; the message says for how many images.
    """
    finite = np.isfinite(logits).reshape(len(logits), -1).all(axis=1)
    if not finite.all():
        raise ValueError(
            f"{name} gives logits that are not finite for "
            f"{np.count_nonzero(~finite)} of {len(finite)} images: look for NaN and "
            "infinite values in its weights and in the images"
        )
    return logits


def two_classes(logits: np.ndarray) -> np.ndarray:
    """Logits (n, 2) of one logit an image, (n, 1); others as they are."""
    if logits.ndim != 2 or logits.shape[1] != 1:
        return logits
    return np.concatenate([np.zeros_like(logits), logits], axis=1)
