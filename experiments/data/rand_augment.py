"""RandAugment: Cubuk et al. (2020), https://arxiv.org/abs/1909.13719, section 3.

The paper's 14 operations with Pillow's arithmetic, in integers, so that an image comes
out the same in every batch. The paper leaves the ranges open; magnitude 10 stands for
the largest of AutoAugment's (Cubuk et al. 2019, https://arxiv.org/abs/1805.09501,
table 6), and more is always stronger. What moves into an image from outside is black.
"""

import math
from collections.abc import Sequence

import tensorflow as tf

STRONGEST = 10  # magnitude
ROTATION = 30.0  # degrees
SHEAR = 0.3  # columns a row, or rows a column
TRANSLATION = 150 / 331  # of a side
ENHANCEMENT = 0.9  # factor 1 - 0.9 or 1 + 0.9
BITS = 4  # that posterize takes away
LUMA = (19595, 38470, 7471)  # of RGB in 65536ths, Pillow's convert("L")
UNIT = 65536


def operation(draw: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Position in OPERATIONS, and whether the change goes up, of draws in [0, 1)."""
    number = tf.cast(draw * (2 * len(OPERATIONS)), tf.int32)
    return number // 2, number % 2 == 0


def rand_augmented(
    images: tf.Tensor, draws: Sequence[tf.Tensor], magnitude: float
) -> tf.Tensor:
    """Each image after as many random operations as there are draws for it.

    Args:
        images: (batch, h, w, channels) uint8; 1 or 3 channels.
        draws: (batch,) in [0, 1), for one operation an image each.
        magnitude: 0 to 10, of all operations.

    Returns:
        (batch, h, w, channels) uint8.
    """
    for draw in draws:
        chosen, up = operation(draw)
        count = len(OPERATIONS)
        rows = tf.dynamic_partition(tf.range(tf.shape(images)[0]), chosen, count)
        changed = [
            change(tf.gather(images, row), tf.gather(up, row), magnitude / STRONGEST)
            for change, row in zip(OPERATIONS, rows, strict=True)
        ]
        images = tf.dynamic_stitch(rows, changed)
    return images


# Each takes (n, h, w, channels) uint8 images, whether each of them goes up or down
# (n,), and a strength from 0 to 1.


def identity(images, up, strength):
    return images


def autocontrast(images, up, strength):
    """The darkest value of a channel becomes 0, the lightest 255."""
    pixels = tf.cast(images, tf.int32)
    low = tf.reduce_min(pixels, axis=(1, 2), keepdims=True)
    span = tf.reduce_max(pixels, axis=(1, 2), keepdims=True) - low
    stretched = (pixels - low) * 255 // tf.maximum(span, 1)
    return tf.where(span > 0, tf.cast(stretched, tf.uint8), images)


def equalize(images, up, strength):
    """All values of a channel equally often, as nearly as their order allows."""
    height, width, channels = images.shape[1:]
    pixels = tf.reshape(tf.transpose(images, (0, 3, 1, 2)), (-1, height * width))
    pixels = tf.cast(pixels, tf.int32)
    counts = tf.math.bincount(pixels, minlength=256, maxlength=256, axis=-1)
    lightest = tf.gather(counts, tf.reduce_max(pixels, axis=1), batch_dims=1)
    step = ((height * width - lightest) // 255)[:, None]
    below = tf.cumsum(counts, axis=1, exclusive=True)
    table = tf.minimum((step // 2 + below) // tf.maximum(step, 1), 255)
    pixels = tf.where(step > 0, tf.gather(table, pixels, batch_dims=1), pixels)
    pixels = tf.reshape(pixels, (-1, channels, height, width))
    return tf.cast(tf.transpose(pixels, (0, 2, 3, 1)), tf.uint8)


def solarize(images, up, strength):
    threshold = 256 - round(256 * strength)
    return tf.where(tf.cast(images, tf.int32) < threshold, images, 255 - images)


def posterize(images, up, strength):
    gone = round(BITS * strength)
    return tf.bitwise.bitwise_and(images, tf.constant(256 - 2**gone, tf.uint8))


def colour(images, up, strength):
    return _enhanced(images, _grey(images), up, strength)


def contrast(images, up, strength):
    count = images.shape[1] * images.shape[2]
    total = tf.reduce_sum(_grey(images), axis=(1, 2), keepdims=True)
    return _enhanced(images, (2 * total + count) // (2 * count), up, strength)


def brightness(images, up, strength):
    return _enhanced(images, 0, up, strength)


def sharpness(images, up, strength):
    """From or to the image smoothed by [1 1 1; 1 5 1; 1 1 1] / 13, its edge left."""
    pixels = tf.cast(images, tf.int32)
    nine = pixels[:, :-2] + pixels[:, 1:-1] + pixels[:, 2:]
    nine = nine[:, :, :-2] + nine[:, :, 1:-1] + nine[:, :, 2:]
    inner = pixels[:, 1:-1, 1:-1]
    change = (2 * (nine + 4 * inner) + 13) // 26 - inner
    smooth = pixels + tf.pad(change, [[0, 0], [1, 1], [1, 1], [0, 0]])
    return _enhanced(images, smooth, up, strength)


def rotate(images, up, strength):
    """About the middle; up is counter-clockwise."""
    middle_row, middle = ((length - 1) / 2 for length in images.shape[1:3])
    angle = math.radians(ROTATION * strength)
    cos, sin = math.cos(angle), math.sin(angle)

    def source(sign):
        return (
            *(cos, -sign * sin, middle - cos * middle + sign * sin * middle_row),
            *(sign * sin, cos, middle_row - sign * sin * middle - cos * middle_row),
        )

    return _moved(images, up, source)


def shear_x(images, up, strength):
    """About the top left corner, half a pixel from the first pixel's centre."""
    shear = SHEAR * strength
    return _moved(images, up, lambda s: (1, s * shear, s * shear / 2, 0, 1, 0))


def shear_y(images, up, strength):
    shear = SHEAR * strength
    return _moved(images, up, lambda s: (1, 0, 0, s * shear, 1, s * shear / 2))


def translate_x(images, up, strength):
    pixels = round(TRANSLATION * strength * images.shape[2])
    return _moved(images, up, lambda s: (1, 0, s * pixels, 0, 1, 0))


def translate_y(images, up, strength):
    pixels = round(TRANSLATION * strength * images.shape[1])
    return _moved(images, up, lambda s: (1, 0, 0, 0, 1, s * pixels))


OPERATIONS = (
    *(identity, autocontrast, equalize, rotate, solarize, colour, posterize),
    *(contrast, brightness, sharpness, shear_x, shear_y, translate_x, translate_y),
)


def _grey(images):
    """(n, h, w, 1) int32: luma of RGB images, others as they are."""
    pixels = tf.cast(images, tf.int32)
    if images.shape[-1] == 1:
        return pixels
    return (tf.reduce_sum(pixels * LUMA, axis=-1, keepdims=True) + UNIT // 2) // UNIT


def _enhanced(images, background, up, strength):
    """background + factor * (images - background), as Pillow's Image.blend."""
    more, less = (round(UNIT * (1 + s * ENHANCEMENT * strength)) for s in (1, -1))
    factor = tf.where(up, more, less)[:, None, None, None]
    change = (tf.cast(images, tf.int32) - background) * factor // UNIT
    return tf.cast(tf.clip_by_value(background + change, 0, 255), tf.uint8)


def _moved(images, up, source):
    """Each pixel from the one nearest to where `source` says.

    Args:
        images: (n, h, w, channels) uint8.
        up: (n,).
        source: function of the sign, 1 or -1, that gives (a, b, c, d, e, f): the pixel
            in column x and row y comes from (ax + by + c, dx + ey + f).
    """
    forth, back = (tf.constant([*source(s), 0, 0], tf.float32) for s in (1, -1))
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.where(up[:, None], forth, back),
        output_shape=images.shape[1:3],
        fill_value=0.0,
        interpolation="NEAREST",
        fill_mode="CONSTANT",
    )
