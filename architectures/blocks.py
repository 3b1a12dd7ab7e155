"""What several nets are built of: layers padded as in Caffe and PyTorch, and checks.

TensorFlow's "same" puts more zeros after than before where a stride does not divide,
Caffe and PyTorch put as many on both sides. The classic nets were drawn with the
latter, so whatever has a stride is padded here by a layer of its own.
"""

from keras import layers


def check_image(
    name: str,
    input_shape: tuple[int, ...],
    *,
    at_least: int,
    at_most: int | None = None,
) -> None:
    """Refuses an `input_shape` that the net `name` cannot take.

    Raises:
        ValueError: it is not (height, width, channels) of known size, or a side is
            shorter than `at_least` pixels or longer than `at_most`.
    """
    known = len(input_shape) == 3 and None not in input_shape
    sides = input_shape[:2]
    fits = known and min(sides) >= at_least and max(sides) <= (at_most or max(sides))
    if not fits or input_shape[2] < 1:
        sizes = (
            f"at least {at_least}" if at_most is None else f"{at_least} to {at_most}"
        )
        raise ValueError(
            f"{name} takes images of {sizes} px a side, given as (height, width, "
            f"channels); got {tuple(input_shape)}: choose another image size"
        )


def check_choice(what: str, choice: str, choices: tuple[str, ...]) -> None:
    """Refuses a `choice` that is not among `choices`.

    Raises:
        ValueError: it is not.
    """
    if choice not in choices:
        raise ValueError(f"{what} must be one of {choices}, got {choice!r}")


def check_width(width: float) -> None:
    """Refuses a `width`, which multiplies a net's channels, that is not positive.

    Raises:
        ValueError: it is not.
    """
    if not width > 0:
        raise ValueError(f"width must be positive, got {width}")


def scaled(units: int, width: float) -> int:
    """`units` times `width`, rounded to a multiple of 8 (kernels' vectors), >= 8."""
    return max(8, round(units * width / 8) * 8)


def convolution(x, filters, size, *, stride=1, padding=None, name, **options):
    """A 2-D convolution with `padding` zeros on all four sides.

    Args:
        x: (batch, height, width, channels).
        filters: channels that come out.
        size: side of the kernel.
        stride: step along height and width.
        padding: zeros on each side; (size - 1) / 2 where it is left out.
        name: name of the layer; its padding, if it is a layer, is `<name>_pad`.
        **options: of `keras.layers.Conv2D`.
    """
    padding = (size - 1) // 2 if padding is None else padding
    keeps_size = stride == 1 and 2 * padding == size - 1
    if padding and not keeps_size:
        x = layers.ZeroPadding2D(padding, name=f"{name}_pad")(x)
    return layers.Conv2D(
        filters,
        size,
        strides=stride,
        padding="same" if padding and keeps_size else "valid",
        name=name,
        **options,
    )(x)


def ceil_max_pool(x, size, *, stride=2, name):
    """Max pooling that counts the last, cut-off window: Caffe's rule (`ceil_mode`).

    `x` must not be negative (follow a ReLU): cut-off windows may be filled with zeros.
    """
    height, width = x.shape[1:3]
    missing = [-(side - size) % stride for side in (height, width)]
    lopsided = [  # what TensorFlow's "same" adds, all of it after if it is one
        max(0, (-(-side // stride) - 1) * stride + size - side)
        for side in (height, width)
    ]
    padding = "valid"
    if any(missing):
        if missing == lopsided and max(missing) == 1:
            padding = "same"
        else:
            after = tuple((0, n) for n in missing)
            x = layers.ZeroPadding2D(after, name=f"{name}_pad")(x)
    return layers.MaxPooling2D(size, strides=stride, padding=padding, name=name)(x)
