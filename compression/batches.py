"""What a batch has for images, whatever else it carries."""

from typing import Any

import numpy as np

from compression.arguments import shown

IMAGE = "image"  # the key, as tensorflow-datasets has it
NUMBERS = "biufV"  # kinds of NumPy's types; V: bfloat16


def images_of(batch: Any) -> np.ndarray:
    """The images of a batch: images, a tuple that begins with them, or {"image": them}.

    Raises:
        ValueError: it is none of these.
    """
    images = batch
    if isinstance(images, tuple | list):
        images = images[0] if images else None
    if isinstance(images, dict):
        images = images.get(IMAGE)
    try:
        images = np.asarray(images)
        numbers = images.ndim > 0 and images.dtype.kind in NUMBERS
    except (TypeError, ValueError):  # rows of several lengths
        numbers = False
    if not numbers:
        raise ValueError(
            "a batch must be images or a tuple (images, labels), or "
            f'{{"{IMAGE}": images}}, got {shown(batch)}'
        )
    return images


def floats_of(batch: Any) -> np.ndarray:
    """The same as float32.

    Raises:
        ValueError: as `images_of`.
    """
    return np.asarray(images_of(batch), np.float32)
