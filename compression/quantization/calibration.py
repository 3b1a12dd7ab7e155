"""Calibration: images from which quantization reads the ranges of activations."""

from collections.abc import Iterable, Iterator

import keras
import numpy as np

from compression.arguments import (
    MOST_IMAGES,
    endless,
    fits,
    require_batches,
    require_end,
)
from compression.batches import floats_of


def checked(model: keras.Model, batches: Iterable) -> Iterator[np.ndarray]:
    """The images of each batch, (n, height, width, channels) float32.

    Args:
        model: has one input.
        batches: of images, of tuples that begin with images, or of {"image": images}.

    Raises:
        ValueError: there are none, or they are not of the model's size, not finite, or
            so many that the data may never end.
    """
    require_batches("calibration", batches)
    count, size = 0, 0
    expected = _image_shape(model)
    for calls, batch in enumerate(map(floats_of, batches)):
        if not fits(batch.shape[1:], expected):
            raise ValueError(
                f"calibration must be batches of images {expected}, one has the shape "
                f"{batch.shape}; an array of images is one batch: [images]"
            )
        expected = batch.shape[1:]  # where the model leaves a size open, one for all
        if not np.isfinite(batch).all():
            bad = np.flatnonzero(~np.isfinite(batch).reshape(len(batch), -1).all(1))
            raise ValueError(
                f"calibration image {count + bad[0]} has a pixel that is not finite: "
                "leave it out"
            )
        count, size = count + len(batch), size + batch.nbytes
        if max(count, calls) > MOST_IMAGES:
            raise endless("calibration", count, size)
        yield batch
    if not count:
        raise ValueError("calibration holds no images")


def calibration_images(model: keras.Model, batches: Iterable) -> np.ndarray:
    """All images of `batches`, (n, height, width, channels) float32, in memory.

    Args:
        model: has one input.
        batches: of images, of tuples that begin with images, or of {"image": images}.

    Raises:
        ValueError: as `checked`, or they take too much memory.
    """
    images, size = [], 0
    for batch in checked(model, batches):
        images.append(batch)
        size += batch.nbytes
        require_end(images, size)
    return np.concatenate(images)


def _image_shape(model):
    if len(model.inputs) != 1:
        raise ValueError(
            f"calibration is for nets of one input, {model.name!r} has "
            f"{len(model.inputs)}: quantize_aware without calibration takes it"
        )
    return tuple(model.inputs[0].shape[1:])


def samples(images: np.ndarray, batch: int) -> Iterator[list[np.ndarray]]:
    """Inputs of calls of `batch` images; the last begins again with the first images.

    What TensorFlow Lite's converter calls a representative data set.
    """
    for start in range(0, len(images), batch):
        indices = np.arange(start, start + batch) % len(images)
        yield [images[indices]]
