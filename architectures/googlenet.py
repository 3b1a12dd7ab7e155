"""GoogLeNet: Szegedy et al., "Going Deeper with Convolutions" (2015).

https://arxiv.org/abs/1409.4842
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
from keras import layers

from architectures.blocks import (
    ceil_max_pool,
    check_image,
    check_width,
    convolution,
    scaled,
)
from architectures.layers import BatchNormalization, LocalResponseNormalization

# Table 1: 1x1; 3x3 reduce, 3x3; 5x5 reduce, 5x5; pool proj.
INCEPTION = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
HEADS = {"4a": "aux1", "4d": "aux2"}  # section 5: which module feeds which head
HEAD_WEIGHT = 0.3  # section 5: of each head's loss, where the last one's is 1
# The paper does not give its response normalisation: Caffe's bvlc_googlenet, whose
# alpha 1e-4 is divided by the window of 5 and whose k is 1.
RESPONSE = {"size": 5, "bias": 1.0, "scale": 1e-4 / 5, "power": 0.75}


@dataclass(frozen=True)
class _Form:
    """What the paper's net and torchvision's do differently."""

    batch_norm: bool
    response: bool  # local response normalisation in the stem
    large_kernel: int  # of the branch that the paper draws as 5x5
    last_pool: int  # side of pool4's window
    head_pool: Callable


PAPER = _Form(
    batch_norm=False,
    response=True,
    large_kernel=5,
    last_pool=3,
    head_pool=lambda name: layers.AveragePooling2D(5, strides=3, name=name),
)
TORCHVISION = _Form(
    batch_norm=True,
    response=False,
    large_kernel=3,
    last_pool=2,
    head_pool=lambda name: layers.AdaptiveAveragePooling2D((4, 4), name=name),
)


def googlenet(
    *,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    auxiliary: bool = False,
    dropout: float = 0.4,
    name: str = "googlenet",
) -> keras.Model:
    """The net of table 1; logits come out.

    Layers are named as in the authors' Caffe form: `inception_3a_3x3_reduce`, ...,
    and a module's concatenation `inception_3a`. Pooling counts the cut-off window, as
    Caffe's does.

    With `auxiliary` heads the model puts out a dict, `logits`, `aux1_logits` and
    `aux2_logits`; `head_weights` has the losses' weights, `without_heads` takes
    the heads off.

    Args:
        input_shape: (height, width, channels), at least 32 pixels a side, 79 with
            heads.
        classes: number of logits.
        auxiliary: add the two heads of section 5.
        dropout: fraction of the averaged features dropped before the last layer.
        name: name of the model.

    Raises:
        ValueError: the images are too small.
    """
    check_image(name, input_shape, at_least=79 if auxiliary else 32)
    image = keras.Input(input_shape, name="image")
    x = _stem(image, PAPER)
    outputs = _modules(x, PAPER, classes, dropout, auxiliary)
    return keras.Model(image, outputs, name=name)


def googlenet_bn(
    *,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    auxiliary: bool = False,
    dropout: float = 0.2,
    name: str = "googlenet_bn",
) -> keras.Model:
    """GoogLeNet with batch norm as torchvision publishes it; logits come out.

    It differs from the paper beyond batch norm: the branches named `5x5` have 3x3
    kernels, `pool4` is 2x2, there is no response normalisation, and the heads average
    the map to 4x4 whatever its size. The published weights expect images
    as (pixel / 255 - 0.5) / 0.5, not ImageNet's mean and deviation.

    Args:
        input_shape: (height, width, channels), at least 32 pixels a side, 64 with
            heads.
        classes: number of logits.
        auxiliary: add two heads, see `googlenet`.
        dropout: fraction of the averaged features dropped before the last layer.
        name: name of the model.

    Raises:
        ValueError: the images are too small.
    """
    check_image(name, input_shape, at_least=64 if auxiliary else 32)
    image = keras.Input(input_shape, name="image")
    x = _stem(image, TORCHVISION)
    outputs = _modules(x, TORCHVISION, classes, dropout, auxiliary)
    return keras.Model(image, outputs, name=name)


def googlenet_cifar(
    *,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    width: float = 1.0,
    dropout: float = 0.2,
    name: str = "googlenet_cifar",
) -> keras.Model:
    """`googlenet_bn` for images of 32 px; logits come out.

    Not in the paper: one 3x3 convolution of 192 filters at full size stands for
    everything before the first module, as is common for CIFAR.

    Args:
        input_shape: (height, width, channels), at least 8 pixels a side.
        classes: number of logits.
        width: multiplies every layer's channels (rounded to a multiple of 8, at least
            8).
        dropout: fraction of the averaged features dropped before the last layer.
        name: name of the model.

    Raises:
        ValueError: the images are too small, or `width` is not positive.
    """
    check_image(name, input_shape, at_least=8)
    check_width(width)
    image = keras.Input(input_shape, name="image")
    x = _unit(image, scaled(192, width), 3, TORCHVISION, name="conv1")
    logits = _modules(x, TORCHVISION, classes, dropout, width=width)
    return keras.Model(image, logits, name=name)


def head_weights() -> dict[str, float]:
    """The weight of each output's loss: 1 and, for the two heads, 0.3 (section 5)."""
    return {"logits": 1.0, "aux1_logits": HEAD_WEIGHT, "aux2_logits": HEAD_WEIGHT}


def without_heads(model: keras.Model) -> keras.Model:
    """The same net, sharing `model`'s weights, with `logits` as its only output."""
    return keras.Model(model.input, model.get_layer("logits").output, name=model.name)


def _stem(x, form):
    x = _unit(x, 64, 7, form, stride=2, name="conv1")
    x = ceil_max_pool(x, 3, name="pool1")
    if form.response:
        x = LocalResponseNormalization(**RESPONSE, name="norm1")(x)
    x = _unit(x, 64, 1, form, name="conv2_reduce")
    x = _unit(x, 192, 3, form, name="conv2")
    if form.response:
        x = LocalResponseNormalization(**RESPONSE, name="norm2")(x)
    return ceil_max_pool(x, 3, name="pool2")


def _modules(x, form, classes, dropout, auxiliary=False, width=1.0):
    heads = {}
    for module, widths in INCEPTION.items():
        if module == "4a":
            x = ceil_max_pool(x, 3, name="pool3")
        if module == "5a":
            x = ceil_max_pool(x, form.last_pool, name="pool4")
        channels = [scaled(each, width) for each in widths]
        x = _inception(x, channels, form, name=f"inception_{module}")
        if auxiliary and module in HEADS:
            head = HEADS[module]
            heads[f"{head}_logits"] = _head(x, classes, form, name=head)
    x = layers.GlobalAveragePooling2D(name="pool5")(x)
    x = layers.Dropout(dropout, name="drop5")(x)
    logits = layers.Dense(classes, name="logits")(x)
    return {"logits": logits, **heads} if auxiliary else logits


def _inception(x, widths, form, *, name):
    """Figure 2(b): four branches side by side."""
    one, reduce_three, three, reduce_five, five, projection = widths
    a = _unit(x, one, 1, form, name=f"{name}_1x1")
    b = _unit(x, reduce_three, 1, form, name=f"{name}_3x3_reduce")
    b = _unit(b, three, 3, form, name=f"{name}_3x3")
    c = _unit(x, reduce_five, 1, form, name=f"{name}_5x5_reduce")
    c = _unit(c, five, form.large_kernel, form, name=f"{name}_5x5")
    d = layers.MaxPooling2D(3, strides=1, padding="same", name=f"{name}_pool")(x)
    d = _unit(d, projection, 1, form, name=f"{name}_pool_proj")
    return layers.Concatenate(name=name)([a, b, c, d])


def _head(x, classes, form, *, name):
    """Section 5: average to 4x4, 1x1 to 128, 1024 units, dropout of 0.7, logits."""
    x = form.head_pool(f"{name}_pool")(x)
    x = _unit(x, 128, 1, form, name=f"{name}_conv")
    x = layers.Flatten(name=f"{name}_flatten")(x)
    x = layers.Dense(1024, name=f"{name}_fc")(x)
    x = layers.ReLU(name=f"{name}_fc_relu")(x)
    x = layers.Dropout(0.7, name=f"{name}_drop")(x)
    return layers.Dense(classes, name=f"{name}_logits")(x)


def _unit(x, filters, size, form, *, stride=1, name):
    """Convolution, batch norm where the form has it, ReLU."""
    x = convolution(
        x,
        filters,
        size,
        stride=stride,
        use_bias=not form.batch_norm,
        kernel_initializer="he_normal" if form.batch_norm else "glorot_uniform",
        name=name,
    )
    if form.batch_norm:
        x = BatchNormalization(momentum=0.9, epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)
