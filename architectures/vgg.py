"""VGG: Simonyan, Zisserman (2014), and its form for CIFAR.

"Very Deep Convolutional Networks for Large-Scale Image Recognition",
https://arxiv.org/abs/1409.1556
"""

import keras
from keras import layers

from architectures.blocks import check_image, check_width, convolution, scaled
from architectures.layers import BatchNormalization

# Table 1, columns A, B, D, E: convolutions in each of the five stages.
PLANS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
WIDTHS = (64, 128, 256, 512, 512)
DENSE = 4096


def vgg(
    depth: int,
    *,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    batch_norm: bool = False,
    dropout: float = 0.5,
    name: str = "vgg",
) -> keras.Model:
    """Table 1's net of `depth` weighted layers; logits come out.

    Stage s has the convolutions `conv<s>_1`, `conv<s>_2`, ... and ends in `pool<s>`;
    then follow `fc6`, `fc7` and `logits`. Weights start as Glorot's, which section
    3.1 recommends after the fact (the paper's own deep nets started from shallow
    ones). Batch norm is torchvision's addition.

    Args:
        depth: 11, 13, 16 or 19.
        input_shape: (height, width, channels), at least 32 pixels a side. From 224
            to 255 pixels the last map is 7x7 and published weights fit.
        classes: number of logits.
        batch_norm: normalise after every convolution.
        dropout: fraction of the units of `fc6` and `fc7` dropped.
        name: name of the model.

    Raises:
        ValueError: there is no net of that depth, or the images are too small.
    """
    image, x = _stages(depth, input_shape, batch_norm, name)
    x = layers.Flatten(name="flatten")(x)
    for i in (6, 7):
        x = layers.Dense(DENSE, name=f"fc{i}")(x)
        x = layers.ReLU(name=f"relu{i}")(x)
        x = layers.Dropout(dropout, name=f"drop{i}")(x)
    return keras.Model(image, layers.Dense(classes, name="logits")(x), name=name)


def vgg_cifar(
    depth: int,
    *,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    width: float = 1.0,
    batch_norm: bool = True,
    name: str = "vgg_cifar",
) -> keras.Model:
    """VGG's stages, then one average over the map and one dense layer; logits out.

    Not in the paper: the form in common use for images of 32 px, a tenth the weights.

    Args:
        depth: 11, 13, 16 or 19, counted with the dense layers that are gone.
        input_shape: (height, width, channels), at least 32 pixels a side.
        classes: number of logits.
        width: multiplies every layer's channels (rounded to a multiple of 8, at least
            8).
        batch_norm: normalise after every convolution.
        name: name of the model.

    Raises:
        ValueError: there is no net of that depth, the images are too small, or `width`
            is not positive.
    """
    check_width(width)
    image, x = _stages(depth, input_shape, batch_norm, name, width)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, layers.Dense(classes, name="logits")(x), name=name)


def _stages(depth, input_shape, batch_norm, name, width=1.0):
    if depth not in PLANS:
        raise ValueError(f"depth must be one of {sorted(PLANS)}, got {depth}")
    check_image(name, input_shape, at_least=32)
    x = image = keras.Input(input_shape, name="image")
    for stage, (repeats, filters) in enumerate(
        zip(PLANS[depth], WIDTHS, strict=True), start=1
    ):
        for i in range(1, repeats + 1):
            x = convolution(x, scaled(filters, width), 3, name=f"conv{stage}_{i}")
            if batch_norm:
                x = BatchNormalization(
                    momentum=0.9, epsilon=1e-5, name=f"bn{stage}_{i}"
                )(x)
            x = layers.ReLU(name=f"relu{stage}_{i}")(x)
        x = layers.MaxPooling2D(name=f"pool{stage}")(x)
    return image, x
