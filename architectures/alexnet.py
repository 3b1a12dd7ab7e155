"""AlexNet's plan: Krizhevsky, Sutskever, Hinton (2012).

"ImageNet Classification with Deep Convolutional Neural Networks",
https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-convolutional-neural-networks
"""

import keras
from keras import layers

# The single-tower widths of "One weird trick" (Krizhevsky 2014), kernel sizes scaled
# from 224 px to 28-64 px; the dense layers from 4096 to 1024 units.
SMALL_KERNELS = (5, 5, 3, 3, 3)
WIDTHS = (64, 192, 384, 256, 256)
SMALL_DENSE = 1024
POOLED = (1, 2, 5)  # pooling follows these convolutions, as in the paper


def alexnet_small(
    *,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    width: float = 1.0,
    batch_norm: bool = True,
    dropout: float = 0.5,
    name: str = "alexnet_small",
) -> keras.Model:
    """AlexNet's plan for images of 28 to 64 px; logits come out.

    Five convolutions, overlapping 3x3/2 pooling after the first, second and fifth,
    three dense layers with dropout before the first two. The first convolution has
    stride 1. Batch norm (not in the paper) stands in for its response normalisation.

    Args:
        input_shape: (height, width, channels), 28 to 64 pixels a side.
        classes: number of logits.
        width: multiplies every layer's units (rounded to a multiple of 8, at least
            8); 0.125 gives a net of about 75,000 weights.
        batch_norm: normalise after every convolution.
        dropout: fraction of units dropped, 0 <= dropout < 1.
        name: name of the model.

    Raises:
        ValueError: the images are too small or too large, or `width` is not positive.
    """
    if not all(28 <= side <= 64 for side in input_shape[:2]):
        raise ValueError(
            f"{name} takes images of 28 to 64 px a side, got {input_shape[:2]}; "
            "choose another image size"
        )
    if width <= 0:
        raise ValueError(f"width must be positive, got {width}")

    x = image = keras.Input(input_shape, name="image")
    for i, (units, size) in enumerate(zip(WIDTHS, SMALL_KERNELS, strict=True), start=1):
        x = layers.Conv2D(
            scaled(units, width),
            size,
            padding="same",
            use_bias=not batch_norm,
            kernel_initializer="he_normal",
            name=f"conv{i}",
        )(x)
        if batch_norm:
            x = layers.BatchNormalization(momentum=0.9, name=f"bn{i}")(x)
        x = layers.ReLU(name=f"relu{i}")(x)
        if i in POOLED:
            x = layers.MaxPooling2D(3, strides=2, name=f"pool{i}")(x)
    x = layers.Flatten(name="flatten")(x)
    for i in (6, 7):
        x = layers.Dropout(dropout, name=f"drop{i}")(x)
        x = layers.Dense(
            scaled(SMALL_DENSE, width), kernel_initializer="he_normal", name=f"fc{i}"
        )(x)
        x = layers.ReLU(name=f"relu{i}")(x)
    return keras.Model(image, layers.Dense(classes, name="logits")(x), name=name)


def scaled(units: int, width: float) -> int:
    """`units` times `width`, rounded to a multiple of 8 (kernels' vectors), >= 8."""
    return max(8, round(units * width / 8) * 8)
