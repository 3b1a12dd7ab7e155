"""Stored images to uint8 pixels of one size."""

import tensorflow as tf


def decode_rgb(encoded: tf.Tensor) -> tf.Tensor:
    """JPEG or PNG bytes -> (h, w, 3) uint8.

    Grey is repeated, a palette is looked up, 16 bits lose the lower 8 and alpha is
    dropped, not blended. The rotation flag of a photograph is ignored.
    """
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    return tf.ensure_shape(image, (None, None, 3))


def decode_rgb_file(path: tf.Tensor) -> tf.Tensor:
    """The same from a path."""
    return decode_rgb(tf.io.read_file(path))


def fitted(images: tf.Tensor, size: int) -> tf.Tensor:
    """The centre square of one image or a batch of them, at `size` px a side.

    The square is cut before it is resized (bilinear, antialiased): the same view as
    resizing the shorter side and then cutting, without the cost of long images.

    Args:
        images: (..., h, w, channels) uint8.
        size: pixels a side.

    Returns:
        (..., size, size, channels) uint8.
    """
    images = tf.convert_to_tensor(images)
    if images.shape[-3:-1] == (size, size):
        return images
    shape = tf.shape(images)
    side = tf.minimum(shape[-3], shape[-2])
    top, left = (shape[-3] - side) // 2, (shape[-2] - side) // 2
    square = images[..., top : top + side, left : left + side, :]
    pixels = tf.image.resize(square, (size, size), antialias=True)
    return to_uint8(pixels)


def to_uint8(pixels: tf.Tensor) -> tf.Tensor:
    """Float pixels in [0, 255] to the nearest integer."""
    return tf.cast(tf.clip_by_value(tf.round(pixels), 0, 255), tf.uint8)
