"""Weights that make up for uneven classes."""

import numpy as np


def balanced(labels: np.ndarray, classes: int) -> list[float]:
    """images / (classes with images * images of the class), as scikit-learn's.

    They average to 1 over the images. A class without any gets 0.
    """
    counts = np.bincount(labels, minlength=classes)
    present = counts > 0
    return np.where(
        present, len(labels) / (present.sum() * np.maximum(counts, 1)), 0.0
    ).tolist()
