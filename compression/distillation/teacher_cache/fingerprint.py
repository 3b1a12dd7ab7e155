"""Whether images are those that a cache was made of, from a few of them.

A fingerprint is two numbers an image: its length as a vector, and its product with
fixed random numbers. Numbers, not a hash: another processor rounds an augmentation
another way in the last digit, and that shall not cost a whole cache.
"""

from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np

from compression.batches import images_of

IMAGES = 16  # at each end of a chunk
TOLERANCE = 1e-5  # of an image's length; one grey level in one pixel is more


def fingerprints(images: np.ndarray) -> list[list[float]]:
    """[length, product] of each of (n, ...) images."""
    rows = np.asarray(images, np.float64).reshape(len(images), -1)
    products = rows @ _directions(rows.shape[1])
    pairs = zip(np.linalg.norm(rows, axis=1), products, strict=True)
    return [[float(f"{number:.9g}") for number in pair] for pair in pairs]


def agree(found: Sequence, kept: Sequence) -> bool:
    """Whether these are fingerprints of the same images, but for rounding."""
    found, kept = np.array(found), np.array(kept)
    if found.shape != kept.shape:
        return False
    return bool((np.abs(found - kept) <= TOLERANCE * (1 + found[:, :1])).all())


def first_images(batches: Iterable, count: int) -> np.ndarray:
    """The first `count` images of an iterable of batches, or as many as there are."""
    images, missing = [], count
    for batch in batches:
        images.append(images_of(batch)[:missing])
        missing -= len(images[-1])
        if missing <= 0:
            break
    return np.concatenate(images) if images else np.zeros((0, 1))


@cache
def _directions(size):
    return np.random.default_rng(0).standard_normal(size)
