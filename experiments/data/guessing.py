"""What a model that has learned nothing scores, and what it may score by luck."""

import numpy as np

DEVIATIONS = 3  # standard errors above guessing that are no luck


def one_answer(labels: np.ndarray) -> float:
    """The fraction that is right where every image gets the answer of most of them."""
    return float(np.bincount(labels).max() / len(labels))


def by_luck(chance: float, images: int) -> float:
    """What guesses may score on so many images.

    Args:
        chance: that one of them is right, from 0 to 1.
        images: how many are looked at.
    """
    error = (chance * (1 - chance) / images) ** 0.5
    return min(chance + DEVIATIONS * error, (1 + chance) / 2)
