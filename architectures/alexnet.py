"""AlexNet: Krizhevsky, Sutskever, Hinton (2012), and its single-tower form.

"ImageNet Classification with Deep Convolutional Neural Networks",
https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-convolutional-neural-networks
Krizhevsky (2014), "One weird trick for parallelizing convolutional neural networks",
https://arxiv.org/abs/1404.5997 (the single tower).
"""

import keras
from keras import layers

from architectures.blocks import (
    check_choice,
    check_image,
    check_width,
    convolution,
    scaled,
)
from architectures.layers import BatchNormalization, LocalResponseNormalization

WIDTHS_2012 = (96, 256, 384, 384, 256)  # section 3.5, figure 2
GROUPS_2012 = (1, 2, 1, 2, 2)  # convolutions 2, 4 and 5 see their own tower only
RESPONSE = {"size": 5, "bias": 2.0, "scale": 1e-4, "power": 0.75}  # section 3.3
ONES_2012 = (2, 4, 5, 6, 7)  # section 5: layers whose biases start at 1
INITIALISATIONS = ("paper", "he")
SIZES = (11, 5, 3, 3, 3)
WIDTHS = (64, 192, 384, 256, 256)  # "One weird trick", footnote 1
DENSE = 4096
POOLED = (1, 2, 5)  # pooling follows these convolutions
# The single tower's plan for 28-64 px: smaller kernels, dense layers from 4096 to 1024.
SMALL_KERNELS = (5, 5, 3, 3, 3)
SMALL_DENSE = 1024


def alexnet(
    *,
    input_shape: tuple[int, int, int] = (227, 227, 3),
    classes: int = 1000,
    padding: int = 0,
    dropout: float = 0.5,
    initialisation: str = "paper",
    name: str = "alexnet",
) -> keras.Model:
    """The net of 2012, both towers in one graph; logits come out.

    Convolutions 2, 4 and 5 are grouped by two, the first two are followed by local
    response normalisation, pooling is 3x3 at every second pixel.

    The paper's 224 px do not give its own maps of 55x55; 227 px do, and so do 224 px
    with two zeros around them (`padding=2`). The response is normalised over all
    channels, not within each tower.

    Args:
        input_shape: (height, width, channels), at least 67 pixels a side.
        classes: number of logits.
        padding: zeros around the image before the first convolution.
        dropout: fraction of the units of `fc6` and `fc7` dropped.
        initialisation: "paper", as in section 5: N(0, 0.01), biases 1 in convolutions
            2, 4, 5 and in `fc6` and `fc7`, else 0; or "he", He's with biases 0.
        name: name of the model.

    Raises:
        ValueError: the images are too small, or there is no such initialisation.
    """
    if padding < 0:
        raise ValueError(f"padding must not be negative, got {padding}")
    check_image(name, input_shape, at_least=67 - 2 * padding)
    x = image = keras.Input(input_shape, name="image")
    for i, (filters, size, groups) in enumerate(
        zip(WIDTHS_2012, SIZES, GROUPS_2012, strict=True), start=1
    ):
        x = convolution(
            x,
            filters,
            size,
            stride=4 if i == 1 else 1,
            padding=padding if i == 1 else None,
            groups=groups,
            name=f"conv{i}",
            **_start(initialisation, i),
        )
        x = layers.ReLU(name=f"relu{i}")(x)
        if i in (1, 2):
            x = LocalResponseNormalization(**RESPONSE, name=f"norm{i}")(x)
        if i in POOLED:
            x = layers.MaxPooling2D(3, strides=2, name=f"pool{i}")(x)
    x = layers.Flatten(name="flatten")(x)
    for i in (6, 7):
        x = layers.Dense(DENSE, name=f"fc{i}", **_start(initialisation, i))(x)
        x = layers.ReLU(name=f"relu{i}")(x)
        x = layers.Dropout(dropout, name=f"drop{i}")(x)
    logits = layers.Dense(classes, name="logits", **_last(initialisation))(x)
    return keras.Model(image, logits, name=name)


def alexnet_owt(
    *,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    dropout: float = 0.5,
    initialisation: str = "he",
    name: str = "alexnet_owt",
) -> keras.Model:
    """AlexNet in one tower, without response normalisation; logits come out.

    The form that torchvision publishes: two zeros around the image, dropout before
    `fc6` and `fc7`.

    Args:
        input_shape: (height, width, channels), at least 63 pixels a side. From 224
            to 255 pixels the last map is 6x6 and published weights fit.
        classes: number of logits.
        dropout: fraction of the inputs of `fc6` and `fc7` dropped.
        initialisation: "he", since the paper gives none; or "paper", that of 2012, see
            `alexnet`.
        name: name of the model.

    Raises:
        ValueError: the images are too small, or there is no such initialisation.
    """
    check_image(name, input_shape, at_least=63)
    x = image = keras.Input(input_shape, name="image")
    for i, (filters, size) in enumerate(zip(WIDTHS, SIZES, strict=True), start=1):
        first = {"stride": 4, "padding": 2} if i == 1 else {}
        start = _start(initialisation, i)
        x = convolution(x, filters, size, name=f"conv{i}", **first, **start)
        x = layers.ReLU(name=f"relu{i}")(x)
        if i in POOLED:
            x = layers.MaxPooling2D(3, strides=2, name=f"pool{i}")(x)
    x = layers.Flatten(name="flatten")(x)
    for i in (6, 7):
        x = layers.Dropout(dropout, name=f"drop{i}")(x)
        x = layers.Dense(DENSE, name=f"fc{i}", **_start(initialisation, i))(x)
        x = layers.ReLU(name=f"relu{i}")(x)
    logits = layers.Dense(classes, name="logits", **_last(initialisation))(x)
    return keras.Model(image, logits, name=name)


def alexnet_small(  # noqa: PLR0913, what the paper compares
    *,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    width: float = 1.0,
    batch_norm: bool = True,
    response_norm: bool = False,
    activation: str = "relu",
    overlapping: bool = True,
    dropout: float = 0.5,
    initialisation: str = "he",
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
            8); 0.125 gives a net of 73,000 weights for 28x28x1 images.
        batch_norm: normalise after every convolution.
        response_norm: the paper's normalisation instead, after the first two.
        activation: "relu", or "tanh", with which the paper compares it (section 3.1).
        overlapping: whether pooling windows are 3 pixels wide at stride 2 (section
            3.4) or 2.
        dropout: fraction of units dropped, 0 <= dropout < 1.
        initialisation: "he", or "paper", see `alexnet`; where batch norm follows,
            convolutions have no bias to start at 1.
        name: name of the model.

    Raises:
        ValueError: the images are too small or too large, `width` is not positive,
            there is no such initialisation or activation, or both norms are wanted.
    """
    check_choice("activation", activation, ("relu", "tanh"))
    if batch_norm and response_norm:
        raise ValueError("response_norm stands in for batch_norm: batch_norm=False")
    check_image(name, input_shape, at_least=28, at_most=64)
    check_width(width)

    x = image = keras.Input(input_shape, name="image")
    for i, (units, size) in enumerate(zip(WIDTHS, SMALL_KERNELS, strict=True), start=1):
        x = layers.Conv2D(
            scaled(units, width),
            size,
            padding="same",
            use_bias=not batch_norm,
            name=f"conv{i}",
            **_start(initialisation, i),
        )(x)
        if batch_norm:
            x = BatchNormalization(momentum=0.9, name=f"bn{i}")(x)
        x = _activated(x, activation, i)
        if response_norm and i <= 2:
            x = LocalResponseNormalization(**RESPONSE, name=f"norm{i}")(x)
        if i in POOLED:
            window = 3 if overlapping else 2
            x = layers.MaxPooling2D(window, strides=2, name=f"pool{i}")(x)
    x = layers.Flatten(name="flatten")(x)
    for i in (6, 7):
        x = layers.Dropout(dropout, name=f"drop{i}")(x)
        x = layers.Dense(
            scaled(SMALL_DENSE, width), name=f"fc{i}", **_start(initialisation, i)
        )(x)
        x = _activated(x, activation, i)
    logits = layers.Dense(classes, name="logits", **_last(initialisation))(x)
    return keras.Model(image, logits, name=name)


def _activated(x, activation, layer):
    if activation == "relu":
        return layers.ReLU(name=f"relu{layer}")(x)
    return layers.Activation(activation, name=f"{activation}{layer}")(x)


def _start(initialisation, layer):
    """Options of layer number `layer`, all of them but the last."""
    check_choice("initialisation", initialisation, INITIALISATIONS)
    if initialisation == "he":
        return {"kernel_initializer": "he_normal"}
    return normal(bias=1.0 if layer in ONES_2012 else 0.0)


def _last(initialisation):
    """Options of the layer that gives the logits; Keras's own with He's weights."""
    return normal() if initialisation == "paper" else {}


def normal(*, bias: float = 0.0) -> dict:
    """Options of a layer that starts as in section 5: N(0, 0.01), biases at `bias`."""
    return {
        "kernel_initializer": keras.initializers.RandomNormal(stddev=0.01),
        "bias_initializer": keras.initializers.Constant(bias),
    }
