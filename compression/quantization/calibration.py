"""Calibration: images from which quantization reads the ranges of activations."""

from collections.abc import Iterable, Iterator

import keras
import numpy as np


def images_of(batch) -> np.ndarray:
    """The images of a batch, which is images or a tuple (images, labels, ...)."""
    images = batch[0] if isinstance(batch, (tuple, list)) else batch
    return np.asarray(images, np.float32)


def calibration_images(model: keras.Model, batches: Iterable) -> np.ndarray:
    """All images of `batches`, (n, height, width, channels) float32, in memory.

    Args:
        model: has one input.
        batches: of images, or of tuples that begin with images.

    Raises:
        ValueError: there are none, or they are not of the model's size.
    """
    images = [images_of(batch) for batch in batches]
    expected = tuple(model.inputs[0].shape[1:])
    for batch in images:
        if batch.shape[1:] != expected:
            raise ValueError(
                f"calibration must be batches of images {expected}, "
                f"one has the shape {batch.shape}"
            )
    if not sum(map(len, images)):
        raise ValueError("calibration holds no images")
    return np.concatenate(images)


def samples(images: np.ndarray, batch: int) -> Iterator[list[np.ndarray]]:
    """Inputs of calls of `batch` images; the last begins again with the first images.

    What TensorFlow Lite's converter calls a representative data set.
    """
    for start in range(0, len(images), batch):
        indices = np.arange(start, start + batch) % len(images)
        yield [images[indices]]
