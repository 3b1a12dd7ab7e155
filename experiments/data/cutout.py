"""Cutout: DeVries & Taylor (2017), https://arxiv.org/abs/1708.04552, section 3."""

import tensorflow as tf


def cut_out(images: tf.Tensor, draws: dict, size: int) -> tf.Tensor:
    """Normalised images, each with a square set to 0, the mean of the train pixels.

    Args:
        images: (batch, h, w, channels) float32.
        draws: "cutout_row" and "cutout_column", (batch,) in [0, 1): the square's
            centre, anywhere in the image; what lies outside is clipped.
        size: of the square's sides, in pixels.
    """
    height, width = images.shape[1:3]
    cut = inside(
        (draws["cutout_row"], draws["cutout_column"]), (size, size), (height, width)
    )
    return tf.where(cut[..., None], 0.0, images)


def inside(centre: tuple, sides: tuple, shape: tuple[int, int]) -> tf.Tensor:
    """Which pixels lie in a box, clipped at the image's edges.

    Args:
        centre: row and column of its middle pixel, as fractions in [0, 1) of the
            image's sides: (...) float32 each.
        sides: its height and width in pixels, whole numbers.
        shape: height and width of the image.

    Returns:
        (..., height, width) bool.
    """
    rows, columns = (_covered(*each) for each in zip(centre, sides, shape, strict=True))
    return rows[..., :, None] & columns[..., None, :]


def _covered(centre, side, length):
    first = tf.cast(centre * length, tf.int32) - side // 2
    pixels = tf.range(length)
    return (pixels >= first[..., None]) & (pixels < (first + side)[..., None])
