"""Random changes of train images, each a pure function of an image and its draws.

Crops and flips: Krizhevsky et al. (2012), section 4.1, and Szegedy et al. (2015),
section 6, https://arxiv.org/abs/1409.4842. Nothing here holds state: `draw` turns a
seed into numbers in [0, 1), and the changes are computed from those alone.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from experiments.data.decoding import to_uint8
from experiments.data.rand_augment import STRONGEST, rand_augmented

AREA = (0.08, 1.0)  # of the image, Szegedy et al. (2015)
RATIO = (3 / 4, 4 / 3)  # width over height of the window
GREY = (0.299, 0.587, 0.114)  # luma of RGB, ITU-R BT.601
OPERATIONS = ("operation1", "operation2", "operation3", "operation4")
# The position of a name seeds its draws: append, never reorder.
NAMES = (
    *("pad_top", "pad_left", "flip", "area", "ratio", "window_top", "window_left"),
    *("brightness", "contrast", "saturation", "component1", "component2", "component3"),
    *("cutout_row", "cutout_column", *OPERATIONS),
)


@dataclass(frozen=True)
class Augment:
    """What happens to a train image, in this order; by default at most a mirroring.

    Args:
        random_resized_crop: a window of 8 % to 100 % of the area and a ratio of 3/4
            to 4/3 is resized to the full image. A streamed image is cut before it is
            made small.
        pad: zeros on each side, in pixels, before a window of the old size is cut.
        flip: mirror every other image; None: where the data allows it.
        colour_jitter: brightness, contrast and saturation are multiplied by factors
            from [max(0, 1 - jitter), 1 + jitter]. Grey images have no saturation.
        pca_shift: standard deviation of the shift along the colours' principal
            components (0.1 in the paper). Grey images are left alone.
        cutout: a square of that many pixels a side gets the mean pixel value.
        rand_augment: how many of RandAugment's operations an image goes through (1 to
            4), after it was mirrored, and their magnitude (0 to 10): (2, 9).
        mixup: images and labels of a batch are mixed in pairs, shares being drawn from
            Beta(mixup, mixup); labels become distributions, (batch, classes) float32.
        cutmix: a box of each image comes from another of the batch, labels by area.
            With `mixup`, too, each batch goes one way of the two by chance.

    Raises:
        ValueError: a value is out of its range, or no whole number where it must be.
    """

    pad: int = 0
    random_resized_crop: bool = False
    flip: bool | None = None
    colour_jitter: float = 0.0
    pca_shift: float = 0.0
    # None is off: run folders from before these settings have nothing there.
    cutout: int | None = None
    rand_augment: tuple[int, int] | None = None
    mixup: float | None = None
    cutmix: float | None = None

    def __post_init__(self):
        if self.pad < 0 or self.pad != int(self.pad):
            raise ValueError(f"pad must be 0 or more whole pixels, got {self.pad}")
        for name in ("colour_jitter", "pca_shift"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be 0 or more, got {value}")
        for name in ("mixup", "cutmix"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive or None, got {value}")
        if self.cutout is not None and not _is_whole(self.cutout, least=1):
            raise ValueError(
                f"cutout must be 1 or more whole pixels, or None, got {self.cutout}"
            )
        if self.rand_augment is not None:
            self._check_rand_augment()

    def _check_rand_augment(self):
        try:
            layers, magnitude = self.rand_augment
        except (TypeError, ValueError) as error:
            raise ValueError(
                "rand_augment must be the number of operations and their magnitude, as "
                f"(2, 9), got {self.rand_augment}"
            ) from error
        few = _is_whole(layers, least=1) and layers <= len(OPERATIONS)
        if not few or not 0 <= magnitude <= STRONGEST:
            raise ValueError(
                f"rand_augment takes 1 to {len(OPERATIONS)} operations and a magnitude "
                f"from 0 to {STRONGEST}, got {self.rand_augment}"
            )

    @property
    def mixes(self) -> bool:
        """Whether images are mixed, and labels are distributions."""
        return self.mixup is not None or self.cutmix is not None

    def draws(self, *, flips: bool, channels: int) -> tuple[str, ...]:
        """Names of the random numbers that an image needs.

        Args:
            flips: whether the data may be mirrored, where `flip` leaves it open.
            channels: 1 or 3.
        """
        colour = channels == 3
        wanted = {
            ("pad_top", "pad_left"): self.pad > 0,
            ("area", "ratio", "window_top", "window_left"): self.random_resized_crop,
            ("flip",): flips if self.flip is None else self.flip,
            ("brightness", "contrast"): self.colour_jitter > 0,
            ("saturation",): self.colour_jitter > 0 and colour,
            ("component1", "component2", "component3"): self.pca_shift > 0 and colour,
            ("cutout_row", "cutout_column"): self.cutout is not None,
            OPERATIONS[: self.rand_augment[0] if self.rand_augment else 0]: True,
        }
        return tuple(name for names, on in wanted.items() if on for name in names)


def _is_whole(value, *, least: int) -> bool:
    return isinstance(value, int) and value >= least


def draw(names: tuple[str, ...], *, seed: tf.Tensor, count: int) -> dict:
    """Name -> (count,) float32 in [0, 1), each name from its own seed.

    Args:
        names: some of NAMES.
        seed: (2,) integers, of one view of a split.
        count: images of the split; row i belongs to image i.
    """
    fold = tf.random.experimental.stateless_fold_in
    return {
        name: tf.random.stateless_uniform((count,), fold(seed, NAMES.index(name)))
        for name in names
    }


def augmented(
    images: tf.Tensor,
    draws: dict,
    augment: Augment,
    *,
    components: tuple[np.ndarray, np.ndarray] | None = None,
    windows: bool = True,
) -> tf.Tensor:
    """A batch of images changed by their draws.

    Args:
        images: (batch, h, w, channels) uint8.
        draws: name -> (batch,) from `draw`; a change without draws does not happen.
        augment: the sizes of the changes.
        components: `Data.colour_components`, needed for a PCA shift.
        windows: False if a `random_window` was cut, and mirrored, already.

    Returns:
        (batch, h, w, channels) float32, on the scale 0 to 255. A PCA shift may leave
        that range, as in the paper.
    """
    if windows and "area" in draws:
        images = _resized_windows(images, draws)
    mirrors = windows and "flip" in draws
    if "pad_top" in draws or mirrors:
        images = _shifted_and_mirrored(images, draws, augment.pad, mirrors)
    if operations := [draws[name] for name in OPERATIONS if name in draws]:
        images = to_uint8(tf.cast(images, tf.float32))  # of a resized window
        images = rand_augmented(images, operations, augment.rand_augment[1])
    images = tf.cast(images, tf.float32)
    if "brightness" in draws:
        images = _jittered(images, draws, augment.colour_jitter)
    if "component1" in draws:
        shift = _colour_shift(draws, augment.pca_shift, components)
        height, width, channels = images.shape[1:]
        lines = tf.reshape(images, (-1, height, width * channels))
        lines += tf.tile(shift, (1, width))[:, None, :]  # see pipeline.normalise
        images = tf.reshape(lines, (-1, height, width, channels))
    return images


def random_window(draws: dict) -> Callable:
    """Function of an image's height and width that gives its window, as `window_of`
    in `decoding.py` takes it.
    """

    def window(height, width):
        found = _window(draws, tf.cast(height, tf.float32), tf.cast(width, tf.float32))
        return [tf.cast(edge, tf.int32) for edge in found]

    return window


def mirrored(image: tf.Tensor, draws: dict) -> tf.Tensor:
    """One image, (h, w, c), mirrored or not."""
    if "flip" not in draws:
        return image
    return tf.cond(draws["flip"] < 0.5, lambda: tf.reverse(image, [1]), lambda: image)


def _window(draws: dict, height: tf.Tensor, width: tf.Tensor) -> tuple:
    """Top, left, height, width in whole pixels, as floats.

    A side that does not fit is cut to the image's, where others draw again.
    """
    area = height * width * (AREA[0] + (AREA[1] - AREA[0]) * draws["area"])
    low, high = (math.log(ratio) for ratio in RATIO)
    ratio = tf.exp(low + (high - low) * draws["ratio"])
    tall = tf.clip_by_value(tf.round(tf.sqrt(area / ratio)), 1.0, height)
    wide = tf.clip_by_value(tf.round(tf.sqrt(area * ratio)), 1.0, width)
    top = tf.floor(draws["window_top"] * (height - tall + 1))
    left = tf.floor(draws["window_left"] * (width - wide + 1))
    return top, left, tall, wide


def _resized_windows(images: tf.Tensor, draws: dict) -> tf.Tensor:
    """Windows of images that already have the final size: (batch, h, w, c) float32.

    Bilinear; a window's edge also mixes with its neighbours in the image.
    """
    height, width = images.shape[1:3]
    top, left, tall, wide = _window(draws, float(height), float(width))
    # Sampling points are pixel centres; the outermost lie up to half a pixel outside
    # the window, so the border is doubled for them.
    bordered = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    half_y, half_x = 0.5 * tall / height, 0.5 * wide / width
    boxes = tf.stack(
        [
            (top + half_y + 0.5) / (height + 1),
            (left + half_x + 0.5) / (width + 1),
            (top + tall - half_y + 0.5) / (height + 1),
            (left + wide - half_x + 0.5) / (width + 1),
        ],
        axis=1,
    )
    rows = tf.range(tf.shape(images)[0])
    return tf.image.crop_and_resize(bordered, boxes, rows, (height, width))


def _shifted_and_mirrored(
    images: tf.Tensor, draws: dict, pad: int, mirrors: bool
) -> tf.Tensor:
    """A window of the zero-padded images, mirrored or not, each at its own offset.

    One gather for the batch: slices and reversals were ten times slower.
    """
    height, width, channels = images.shape[1:]
    batch = tf.shape(images)[0]
    top = left = tf.zeros((batch,), tf.int32)
    if "pad_top" in draws:
        images = tf.pad(images, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
        offsets = 2 * pad + 1
        top = tf.cast(draws["pad_top"] * offsets, tf.int32)
        left = tf.cast(draws["pad_left"] * offsets, tf.int32)
    tall, wide = images.shape[1:3]
    columns = tf.range(width)[None, :]
    if mirrors:
        flipped = draws["flip"][:, None] < 0.5
        columns = tf.where(flipped, width - 1 - columns, columns)
    rows = (tf.range(batch) * tall + top)[:, None] + tf.range(height)
    pixels = rows[:, :, None] * wide + (left[:, None] + columns)[:, None, :]
    return tf.gather(tf.reshape(images, (-1, channels)), pixels)


def _jittered(images: tf.Tensor, draws: dict, jitter: float) -> tf.Tensor:
    """Brightness, then contrast (about the mean grey), then saturation (about grey)."""
    height, width, channels = images.shape[1:]
    grey = tf.constant(GREY if channels == 3 else (1.0,))[:, None]
    low = max(0.0, 1.0 - jitter)

    def factor(name):
        return (low + (1.0 + jitter - low) * draws[name])[:, None, None]

    def clipped(pixels):
        return tf.clip_by_value(pixels, 0.0, 255.0)

    pixels = tf.reshape(images, (-1, height * width, channels))
    pixels = clipped(factor("brightness") * pixels)
    mean_grey = tf.matmul(tf.reduce_mean(pixels, axis=1, keepdims=True), grey)
    contrast = factor("contrast")
    pixels = clipped(contrast * pixels + (1.0 - contrast) * mean_grey)
    if "saturation" in draws:
        saturation = factor("saturation")
        to_grey = tf.tile(grey, (1, 3))  # (3, 3): every colour becomes the grey
        pixels = clipped(
            tf.matmul(pixels, saturation * tf.eye(3) + (1.0 - saturation) * to_grey)
        )
    return tf.reshape(pixels, (-1, height, width, channels))


def _colour_shift(
    draws: dict, sigma: float, components: tuple[np.ndarray, np.ndarray]
) -> tf.Tensor:
    """(batch, 3): [p1 p2 p3] [a1 l1, a2 l2, a3 l3]^T on the scale 0 to 255.

    The eigenvalues l are those of pixels / 255, which the paper leaves open: the
    shift of a unit draw is sigma * l of the full range.
    """
    values, vectors = (tf.constant(part, tf.float32) for part in components)
    uniform = tf.stack([draws[f"component{i}"] for i in (1, 2, 3)], axis=1)
    # The draws are multiples of 2^-23: half a step keeps 0 from becoming -infinity.
    normal = tf.math.ndtri(uniform + 2.0**-24)
    return 255.0 * tf.matmul(sigma * normal * values, vectors, transpose_b=True)
