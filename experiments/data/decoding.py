"""Stored images to uint8 pixels of one size."""

import io
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps


def decode_rgb(encoded: tf.Tensor) -> tf.Tensor:
    """JPEG or PNG bytes -> (h, w, 3) uint8.

    Of JPEG these are the pixels that Pillow has, and with it the app's example. Grey is
    repeated, a palette is looked up, 16 bits lose the lower 8 and alpha is dropped, not
    blended.
    """
    image = tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: tf.io.decode_jpeg(encoded, channels=3, dct_method=ACCURATE),
        lambda: tf.io.decode_image(encoded, channels=3, expand_animations=False),
    )
    return tf.ensure_shape(image, (None, None, 3))


def decode_rgb_file(path: tf.Tensor) -> tf.Tensor:
    """The image in the file at `path`, as people see it -> (h, w, 3) uint8.

    As `decode_rgb`, and turned as its EXIF orientation says. What TensorFlow does not
    read (WebP, TIFF, BMP with a palette) Pillow does.
    """
    encoded = tf.io.read_file(path)
    orientation = _orientation_of(encoded)
    image = tf.cond(
        orientation == BY_PILLOW,
        lambda: tf.numpy_function(_by_pillow, [encoded], tf.uint8, stateful=False),
        lambda: _turned(decode_rgb(encoded), orientation),
    )
    return tf.ensure_shape(image, (None, None, 3))


def upright_jpeg(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Image bytes of a stream as they are, and whether they are JPEG."""
    return encoded, tf.io.is_jpeg(encoded)


def upright_jpeg_file(path: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The bytes of a file, and whether they are JPEG that need not be turned."""
    encoded = tf.io.read_file(path)
    return encoded, tf.io.is_jpeg(encoded) & (_orientation_of(encoded) == UPRIGHT)


ACCURATE = "INTEGER_ACCURATE"  # the DCT of other programs; TensorFlow's own is faster
BY_PILLOW = 0  # in the place of an orientation, which is from 1 to 8
UPRIGHT = 1
ORIENTATION = 0x0112  # the tag's number in EXIF
EXIF = r"(?s)\C*(?:Exif\x00|eXIf)\C*"  # \C is any byte
BY_TENSORFLOW = (b"\xff\xd8", b"\x89PNG", b"GIF8")  # how these files begin


def _orientation_of(encoded: tf.Tensor) -> tf.Tensor:
    """From 1 to 8, or `BY_PILLOW`. Python is asked where there is EXIF to read."""
    begins = [
        tf.strings.substr(encoded, 0, len(start)) == start for start in BY_TENSORFLOW
    ]
    plain = tf.reduce_any(begins) & ~tf.strings.regex_full_match(encoded, EXIF)
    return tf.cond(
        plain,
        lambda: tf.constant(UPRIGHT, tf.int64),
        lambda: tf.numpy_function(_orientation, [encoded], tf.int64, stateful=False),
    )


def _orientation(encoded) -> np.int64:
    encoded = _bytes(encoded)
    if not encoded.startswith(BY_TENSORFLOW):
        return np.int64(BY_PILLOW)
    if b"Exif\0" not in encoded and b"eXIf" not in encoded:
        return np.int64(UPRIGHT)
    with Image.open(io.BytesIO(encoded)) as image:
        found = image.getexif().get(ORIENTATION, UPRIGHT)
    return np.int64(found if found in range(1, 9) else UPRIGHT)


def _turned(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """EXIF 2.32, table 6: where the first row and the first column are seen."""

    def where(codes, change, image):
        chosen = tf.reduce_any(orientation == tf.constant(codes, tf.int64))
        return tf.cond(chosen, lambda: change(image), lambda: image)

    image = where([5, 6, 7, 8], lambda x: tf.transpose(x, (1, 0, 2)), image)
    image = where([2, 3, 6, 7], lambda x: tf.reverse(x, [1]), image)
    return where([3, 4, 7, 8], lambda x: tf.reverse(x, [0]), image)


def _bytes(encoded) -> bytes:
    """What `tf.numpy_function` passes: bytes in a graph, an array of them eagerly."""
    return encoded if isinstance(encoded, bytes) else encoded.item()


def _by_pillow(encoded) -> np.ndarray:
    with Image.open(io.BytesIO(_bytes(encoded))) as image:
        upright = ImageOps.exif_transpose(image)
        if image.mode[0] not in "IF":
            return np.asarray(upright.convert("RGB"))
        # Greys of more than 8 bits, which Pillow would clip at 255.
        if not image.mode.startswith("I;16") and image.format != "PPM":
            raise ValueError(f"pixels of mode {image.mode} have no known range")
        grey = (np.asarray(upright).astype(np.int64) >> 8).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=-1)


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

    def resized():
        return to_uint8(tf.image.resize(square, (size, size), antialias=True))

    same = tf.cond(side == size, lambda: square, resized)  # resizing costs more
    return tf.ensure_shape(same, (*images.shape[:-3], size, size, images.shape[-1]))


def window_of(image: tf.Tensor, window: Callable, size: int) -> tf.Tensor:
    """A window of pixels, at `size` px a side.

    Args:
        image: (h, w, channels) uint8.
        window: function of h and w that gives its top, left, height and width, int32.
        size: pixels a side.

    Returns:
        (size, size, channels) uint8; bilinear, antialiased where a side becomes less
        than four fifths of what it was.
    """
    top, left, tall, wide = window(*tf.unstack(tf.shape(image)[:2]))
    return _resized(image[top : top + tall, left : left + wide], size)


def window_of_jpeg(
    encoded: tf.Tensor, window: Callable, size: int, *, channels: int
) -> tf.Tensor:
    """As `window_of`, of JPEG bytes: only the window is decoded.

    Where it is two, four or eight times as large as it shall be, it is decoded that
    much smaller, which averages over the pixels.
    """
    height, width = tf.unstack(tf.io.extract_jpeg_shape(encoded)[:2])
    top, left, tall, wide = window(height, width)

    def smaller(ratio):
        def near(pixel):
            return (pixel + ratio // 2) // ratio

        first = near(top), near(left)
        sides = near(top + tall) - first[0], near(left + wide) - first[1]
        box = tf.stack([*first, *sides])
        return tf.io.decode_and_crop_jpeg(
            encoded, box, channels=channels, ratio=ratio, dct_method=ACCURATE
        )

    spare = tf.minimum(tall, wide) // size
    chosen = tf.reduce_sum(tf.cast(spare >= RATIOS[1:], tf.int32))
    image = tf.switch_case(chosen, [lambda r=r: smaller(r) for r in RATIOS])
    return _resized(tf.ensure_shape(image, (None, None, channels)), size)


RATIOS = (1, 2, 4, 8)  # by which JPEG can be decoded smaller
SHRINKS = 1.25  # up to which an image is small enough to begin with: what could alias
# are the waves of less than 2.5 pixels, of which photographs have little


def _resized(image, size):
    # Antialiasing takes thrice as long, and changes nothing of an image that grows.
    shrinks = tf.reduce_any(tf.shape(image)[:2] > round(SHRINKS * size))
    pixels = tf.cond(
        shrinks,
        lambda: tf.image.resize(image, (size, size), antialias=True),
        lambda: tf.image.resize(image, (size, size)),
    )
    return to_uint8(pixels)


def to_uint8(pixels: tf.Tensor) -> tf.Tensor:
    """Float pixels in [0, 255] to the nearest integer."""
    return tf.cast(tf.clip_by_value(tf.round(pixels), 0, 255), tf.uint8)
