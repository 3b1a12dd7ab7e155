"""ZFNet: Zeiler, Fergus (2013), and a net that another source gives this name.

"Visualizing and Understanding Convolutional Networks",
https://arxiv.org/abs/1311.2901, figure 3.
"""

import keras
from keras import layers

from architectures.alexnet import (
    DENSE,
    INITIALISATIONS,
    RESPONSE,
    SMALL_DENSE,
    normal,
)
from architectures.blocks import (
    ceil_max_pool,
    check_choice,
    check_image,
    check_width,
    convolution,
    scaled,
)
from architectures.layers import BatchNormalization, LocalResponseNormalization
from architectures.resnet import BATCH_NORM, Choices, bottleneck_block

# Figure 3: filters, side, stride and zeros around of each convolution.
PLAN = ((96, 7, 2, 1), (256, 5, 2, 0), (384, 3, 1, 1), (384, 3, 1, 1), (256, 3, 1, 1))
POOLED = (1, 2, 5)
SMALL_KERNELS = (3, 5, 3, 3, 3)
HE = {"kernel_initializer": "he_normal"}
RESIDUAL_WIDTHS = (256, 512, 1024, 2048)


def zfnet(
    *,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    dropout: float = 0.5,
    initialisation: str = "paper",
    name: str = "zfnet",
) -> keras.Model:
    """The net of figure 3; logits come out.

    The figure's maps (110, 55, 26, 13, 6 at 224 px) need one zero around the image
    and pooling that counts the cut-off window, as Caffe's does: 62,357,608 weights.
    Without either the last map is 5x5 and the count 50,823,272.

    Response normalisation follows the first two poolings ("contrast normalized
    across feature maps", figure 3) with AlexNet's numbers, since the paper gives
    none. The paper renormalises large filters in training, which is left out.

    Args:
        input_shape: (height, width, channels), at least 47 pixels a side.
        classes: number of logits.
        dropout: fraction of the units of `fc6` and `fc7` dropped.
        initialisation: "paper": weights N(0, 0.01), biases 0 (section 3 says "10^-2 and
            biases set to 0"; weights that are all 0.01 would leave the filters equal);
            or "he", He's with biases 0.
        name: name of the model.

    Raises:
        ValueError: the images are too small.
    """
    check_image(name, input_shape, at_least=47)
    check_choice("initialisation", initialisation, INITIALISATIONS)
    papers = initialisation == "paper"
    x = image = keras.Input(input_shape, name="image")
    for i, (filters, size, stride, padding) in enumerate(PLAN, start=1):
        x = convolution(
            x,
            filters,
            size,
            stride=stride,
            padding=padding,
            name=f"conv{i}",
            **(normal() if papers else HE),
        )
        x = layers.ReLU(name=f"relu{i}")(x)
        if i in POOLED:
            x = ceil_max_pool(x, 3, name=f"pool{i}")
        if i in (1, 2):
            x = LocalResponseNormalization(**RESPONSE, name=f"norm{i}")(x)
    x = layers.Flatten(name="flatten")(x)
    for i in (6, 7):
        x = layers.Dense(DENSE, name=f"fc{i}", **(normal() if papers else HE))(x)
        x = layers.ReLU(name=f"relu{i}")(x)
        x = layers.Dropout(dropout, name=f"drop{i}")(x)
    last = normal() if papers else {}
    logits = layers.Dense(classes, name="logits", **last)(x)
    return keras.Model(image, logits, name=name)


def zfnet_small(
    *,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    width: float = 1.0,
    batch_norm: bool = True,
    dropout: float = 0.5,
    name: str = "zfnet_small",
) -> keras.Model:
    """ZFNet's plan for images of 28 to 64 px; logits come out.

    Not in the paper: its widths without strides, and dense layers of 1024, as
    `alexnet_small` has them. What the paper changes in AlexNet is there: a smaller
    first kernel (3x3 where `alexnet_small` has 5x5, for 7x7 and 11x11), and pooling
    that counts the cut-off window, so that maps are larger (16, 8, 4 at 32 px).

    Args:
        input_shape: (height, width, channels), 28 to 64 pixels a side.
        classes: number of logits.
        width: multiplies every layer's units (rounded to a multiple of 8, at least 8).
        batch_norm: normalise after every convolution; if not, responses are normalised
            after the first two poolings, as in `zfnet`.
        dropout: fraction of the units of `fc6` and `fc7` dropped.
        name: name of the model.

    Raises:
        ValueError: the images are too small or too large, or `width` is not positive.
    """
    check_image(name, input_shape, at_least=28, at_most=64)
    check_width(width)
    x = image = keras.Input(input_shape, name="image")
    for i, (size, (filters, *_)) in enumerate(
        zip(SMALL_KERNELS, PLAN, strict=True), start=1
    ):
        x = convolution(
            x,
            scaled(filters, width),
            size,
            use_bias=not batch_norm,
            name=f"conv{i}",
            **HE,
        )
        if batch_norm:
            x = BatchNormalization(**BATCH_NORM, name=f"bn{i}")(x)
        x = layers.ReLU(name=f"relu{i}")(x)
        if i in POOLED:
            x = ceil_max_pool(x, 3, name=f"pool{i}")
        if i in (1, 2) and not batch_norm:
            x = LocalResponseNormalization(**RESPONSE, name=f"norm{i}")(x)
    x = layers.Flatten(name="flatten")(x)
    for i in (6, 7):
        x = layers.Dense(scaled(SMALL_DENSE, width), name=f"fc{i}", **HE)(x)
        x = layers.ReLU(name=f"relu{i}")(x)
        x = layers.Dropout(dropout, name=f"drop{i}")(x)
    logits = layers.Dense(classes, name="logits")(x)
    return keras.Model(image, logits, name=name)


def zfnet_residual(
    *,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    name: str = "zfnet_residual",
) -> keras.Model:
    """AlexNet's stem, then residual blocks instead of dense layers; logits come out.

    This is not the net of 2013. One source calls "ZFNet" a net with AlexNet's first
    layers and residual blocks of 256, 512, 1024 and 2048 channels where the dense
    layers were; it says no more. What is ours: the stem is AlexNet's first two
    convolutions (11x11/4, 5x5, each with batch norm and pooling), and one bottleneck
    block of ResNet-50 stands for each width, the last three halving the map.

    Args:
        input_shape: (height, width, channels), at least 32 pixels a side.
        classes: number of logits.
        name: name of the model.

    Raises:
        ValueError: the images are too small.
    """
    check_image(name, input_shape, at_least=32)
    x = image = keras.Input(input_shape, name="image")
    for i, (filters, size, stride) in enumerate(((96, 11, 4), (256, 5, 1)), start=1):
        x = convolution(
            x,
            filters,
            size,
            stride=stride,
            padding=2,
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"conv{i}",
        )
        x = BatchNormalization(**BATCH_NORM, name=f"bn{i}")(x)
        x = layers.ReLU(name=f"relu{i}")(x)
        x = layers.MaxPooling2D(3, strides=2, name=f"pool{i}")(x)
    for stage, width in enumerate(RESIDUAL_WIDTHS, start=1):
        stride = 1 if stage == 1 else 2
        block = f"stage{stage}_block1"
        x = bottleneck_block(x, width, stride, Choices(shortcut="B"), name=block)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    logits = layers.Dense(classes, kernel_initializer="he_normal", name="logits")(x)
    return keras.Model(image, logits, name=name)
