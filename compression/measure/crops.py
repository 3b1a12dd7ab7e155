"""Several views of an image, whose probabilities are averaged: crops, mirrors, scales.

Krizhevsky et al. (2012), section 4.1: ten crops. Simonyan, Zisserman (2014), sections
3.2, 4.2 and 4.3: several scales, and a grid of crops at each. Szegedy et al. (2015),
section 7: 144 crops.

Views are made one at a time: a function of images (n, height, width, channels) gives an
iterator of arrays of that many images, and `mean_logits` asks a model about each.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
from keras import ops

from compression.answers import require_finite, two_classes
from compression.export.outputs import as_logits
from compression.export.runners import Runner
from compression.measure.scores import name_of, runner_of

GOOGLENET_SCALES = (256, 288, 320, 352)  # shorter side; section 7


def ten_crops(images: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """The four corners, the centre, and their mirror images.

    Args:
        images: (n, height, width, channels).
        size: side of the crops in pixels.

    Raises:
        ValueError: the images are no such array, or smaller than `size`.
    """
    bottom, right = _room(images, size)
    corners = [(y, x) for y in (0, bottom) for x in (0, right)]
    yield from _mirrored(images, size, [*corners, (bottom // 2, right // 2)])


def grid_crops(images: np.ndarray, size: int, side: int = 5) -> Iterator[np.ndarray]:
    """A regular grid of crops from edge to edge, and their mirror images.

    Args:
        images: (n, height, width, channels).
        size: side of the crops in pixels.
        side: crops along each axis, so that there are 2 * side * side.

    Raises:
        ValueError: as `ten_crops`, or `side` is less than 2.
    """
    if side < 2:
        raise ValueError(f"side must be at least 2 crops, got {side}")
    rows, columns = (np.linspace(0, room, side) for room in _room(images, size))
    at = [(round(y), round(x)) for y in rows for x in columns]
    yield from _mirrored(images, size, at)


def googlenet_crops(
    images: np.ndarray, size: int = 224, scales: Sequence[int] = GOOGLENET_SCALES
) -> Iterator[np.ndarray]:
    """GoogLeNet's: at every scale of three squares six crops, and their mirror images.

    The squares are the left, middle and right one (top, middle and bottom one of
    upright images); the crops are the corners, the centre and the square resized.

    Args:
        images: (n, height, width, channels).
        size: side of the crops in pixels.
        scales: lengths to which the shorter side is resized.

    Raises:
        ValueError: as `ten_crops`, or a scale is less than `size`.
    """
    for scaled in at_scales(images, scales):
        height, width = scaled.shape[1:3]
        short = min(height, width)
        for third in range(3):
            y, x = (third * (length - short) // 2 for length in (height, width))
            square = scaled[:, y : y + short, x : x + short]
            yield from ten_crops(square, size)
            yield from _mirrored(_resized(square, size, size), size, [(0, 0)])


def at_scales(images: np.ndarray, scales: Sequence[int]) -> Iterator[np.ndarray]:
    """The whole images, their shorter side resized (bilinear, antialiased) to each.

    Args:
        images: (n, height, width, channels).
        scales: lengths in pixels.

    Raises:
        ValueError: the images are no such array, or a scale is not positive.
    """
    _room(images, 1)
    if min(scales, default=0) < 1:
        raise ValueError(f"scales must be positive, at least one, got {tuple(scales)}")
    height, width = images.shape[1:3]
    for scale in scales:
        factor = scale / min(height, width)
        yield _resized(images, round(factor * height), round(factor * width))


def mean_logits(
    model_or_path: keras.Model | Runner | str | Path, views: Iterable[np.ndarray]
) -> np.ndarray:
    """The log of the mean of the views' softmax, (n, classes): logits of that mean.

    Of one logit an image, two classes.

    Args:
        model_or_path: a model or an exported file.
        views: arrays of the same n images.

    Raises:
        ValueError: there are no views, they do not fit, or logits are not finite.
    """
    runner, total, count = runner_of(model_or_path), -np.inf, 0
    for view in views:
        logits = two_classes(as_logits(runner(view), runner)).astype(np.float64)
        require_finite(logits, name_of(runner))
        shifted = logits - logits.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        total = np.logaddexp(total, log_p)
        count += 1
    if not count:
        raise ValueError("there are no views to run")
    return (total - np.log(count)).astype(np.float32)


def _mirrored(images, size, corners):
    for y, x in corners:
        crop = images[:, y : y + size, x : x + size]
        yield crop
        yield crop[:, :, ::-1]


def _room(images, size):
    """How far a crop can move down and to the right."""
    if np.ndim(images) != 4 or min(images.shape[1:3]) < size or size < 1:
        raise ValueError(
            f"crops of {size} px need images (n, height, width, channels) at least as "
            f"large, got {np.shape(images)}"
        )
    return images.shape[1] - size, images.shape[2] - size


def _resized(images, height, width):
    if images.shape[1:3] == (height, width):
        return images
    resized = ops.image.resize(
        images,
        (height, width),
        interpolation="bilinear",
        antialias=True,
        data_format="channels_last",
    )
    return ops.convert_to_numpy(resized)
