"""Residual nets: He et al., "Deep Residual Learning for Image Recognition" (2015).

https://arxiv.org/abs/1512.03385
"""

from dataclasses import dataclass

import keras
from keras import layers

from architectures import blocks
from architectures.layers import BatchNormalization, ZeroPaddedShortcut

# Table 1: blocks in each of the four stages.
BASIC_PLANS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
BOTTLENECK_PLANS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
BASIC_WIDTHS = (64, 128, 256, 512)  # channels that come out of a stage
BOTTLENECK_WIDTHS = (256, 512, 1024, 2048)
CIFAR_WIDTHS = (16, 32, 64)  # section 4.2, the table of feature maps
BATCH_NORM = {"momentum": 0.9, "epsilon": 1e-5}


@dataclass(frozen=True)
class Choices:
    """What all blocks of one net have in common.

    Attributes:
        shortcut: where the shape changes, "A" thins out and pads with zero channels,
            "B" projects with a 1x1 convolution (section 3.3). "none": the plain net
            without shortcuts, with which the paper compares it (section 4.1).
        convolution: "standard", or "separable": a depthwise 3x3, batch norm and ReLU,
            then 1x1 instead of each 3x3.
        zero_init: the last batch norm of a block starts at zero, so that the block
            starts as its shortcut (Goyal et al. 2017, https://arxiv.org/abs/1706.02677,
            section 5.1).

    Raises:
        ValueError: a choice is not among these, or two do not go together.
    """

    shortcut: str
    convolution: str = "standard"
    zero_init: bool = False

    def __post_init__(self):
        blocks.check_choice("shortcut", self.shortcut, ("A", "B", "none"))
        if self.shortcut == "none" and self.zero_init:
            raise ValueError(
                "zero_init starts a block as its shortcut, and shortcut='none' has none"
            )
        blocks.check_choice("convolution", self.convolution, ("standard", "separable"))


def resnet(
    depth: int,
    *,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    shortcut: str = "B",
    convolution: str = "standard",
    zero_init: bool = False,
    name: str = "resnet",
) -> keras.Model:
    """The ImageNet form (table 1) of `depth` weighted layers; logits come out.

    Everything with a stride pads by the same number on each side. One departure from
    the paper: a bottleneck that halves the map does so in its 3x3 convolution, not in
    the 1x1 before it, as in the published weights and everyone's MACs. Blocks are
    named `stage1_block1` to `stage4_blockN`; a block's last layer ends in `_out`.

    Args:
        depth: 18, 34, 50, 101 or 152.
        input_shape: (height, width, channels), at least 32 pixels a side.
        classes: number of logits.
        shortcut: "A", "B" or "none", see `Choices`.
        convolution: "standard" or "separable", see `Choices`.
        zero_init: blocks start as their shortcuts, see `Choices`.
        name: name of the model.

    Raises:
        ValueError: there is no net of that depth, the images are too small, or a
            choice is not among these.
    """
    if depth in BASIC_PLANS:
        block, plan, widths = basic_block, BASIC_PLANS[depth], BASIC_WIDTHS
    elif depth in BOTTLENECK_PLANS:
        block, plan, widths = (
            bottleneck_block,
            BOTTLENECK_PLANS[depth],
            BOTTLENECK_WIDTHS,
        )
    else:
        known = sorted(BASIC_PLANS | BOTTLENECK_PLANS)
        raise ValueError(f"depth must be one of {known}, got {depth}")
    blocks.check_image(name, input_shape, at_least=32)
    choices = Choices(shortcut, convolution, zero_init)

    image = keras.Input(input_shape, name="image")
    x = _convolution(image, 64, 7, stride=2, name="conv1")
    x = BatchNormalization(**BATCH_NORM, name="bn1")(x)
    x = layers.ReLU(name="relu1")(x)
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)  # zeros do: a ReLU came before
    x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)
    x = _stages(x, plan, widths, block, choices)
    return _averaged(image, x, classes, name)


def resnet_cifar(  # noqa: PLR0913, what papers compare
    depth: int,
    *,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    width: float = 1.0,
    shortcut: str = "A",
    convolution: str = "standard",
    zero_init: bool = False,
    name: str = "resnet_cifar",
) -> keras.Model:
    """The CIFAR form (section 4.2) of `depth` = 6n + 2 layers; logits come out.

    Shortcuts of option A have no weights. Every 3x3 convolution pads by one
    on each side, also at stride 2, where TensorFlow's "same" would be lopsided.
    Blocks are named `stage1_block1` to `stage3_blockN`; the last layer of a block
    ends in `_out`.

    Args:
        depth: number of weighted layers on the longest path: 20, 32, 44, 56, 110.
        input_shape: (height, width, channels), at least 8 pixels a side.
        classes: number of logits.
        width: multiplies every layer's channels (rounded to a multiple of 8, at least
            8).
        shortcut: "A" as in the paper, "B" or "none", see `Choices`.
        convolution: "standard" or "separable", see `Choices`.
        zero_init: blocks start as their shortcuts, see `Choices`.
        name: name of the model.

    Raises:
        ValueError: `depth` is not 6n + 2, the images are too small, `width` is not
            positive, or a choice is not among these.
    """
    if depth < 8 or (depth - 2) % 6:
        raise ValueError(f"depth must be 6n + 2 with n >= 1, got {depth}")
    blocks.check_image(name, input_shape, at_least=8)
    blocks.check_width(width)
    choices = Choices(shortcut, convolution, zero_init)
    plan = ((depth - 2) // 6,) * 3
    widths = [blocks.scaled(channels, width) for channels in CIFAR_WIDTHS]

    image = keras.Input(input_shape, name="image")
    x = _convolution(image, widths[0], 3, name="conv1")
    x = BatchNormalization(**BATCH_NORM, name="bn1")(x)
    x = layers.ReLU(name="relu1")(x)
    x = _stages(x, plan, widths, basic_block, choices)
    return _averaged(image, x, classes, name)


def _stages(x, plan, widths, block, choices):
    for stage, (repeats, width) in enumerate(zip(plan, widths, strict=True), start=1):
        for i in range(1, repeats + 1):
            stride = 2 if stage > 1 and i == 1 else 1
            x = block(x, width, stride, choices, name=f"stage{stage}_block{i}")
    return x


def _averaged(image, x, classes, name):
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    logits = layers.Dense(classes, kernel_initializer="he_normal", name="logits")(x)
    return keras.Model(image, logits, name=name)


def basic_block(x, width, stride, choices, *, name):
    """Two 3x3 convolutions and a shortcut (figure 2; figure 5, left)."""
    y = _block_convolution(x, width, stride, choices, name=f"{name}_conv1")
    y = BatchNormalization(**BATCH_NORM, name=f"{name}_bn1")(y)
    y = layers.ReLU(name=f"{name}_relu1")(y)
    y = _block_convolution(y, width, 1, choices, name=f"{name}_conv2")
    y = _last_batch_norm(choices, name=f"{name}_bn2")(y)
    return _joined(x, y, stride, choices, name=name)


def bottleneck_block(x, width, stride, choices, *, name):
    """1x1 down to a quarter of `width`, 3x3, 1x1 up, and a shortcut (figure 5)."""
    y = _convolution(x, width // 4, 1, name=f"{name}_conv1")
    y = BatchNormalization(**BATCH_NORM, name=f"{name}_bn1")(y)
    y = layers.ReLU(name=f"{name}_relu1")(y)
    y = _block_convolution(y, width // 4, stride, choices, name=f"{name}_conv2")
    y = BatchNormalization(**BATCH_NORM, name=f"{name}_bn2")(y)
    y = layers.ReLU(name=f"{name}_relu2")(y)
    y = _convolution(y, width, 1, name=f"{name}_conv3")
    y = _last_batch_norm(choices, name=f"{name}_bn3")(y)
    return _joined(x, y, stride, choices, name=name)


def _joined(x, y, stride, choices, *, name):
    if choices.shortcut == "none":
        return layers.ReLU(name=f"{name}_out")(y)
    width = y.shape[-1]
    if stride != 1 or x.shape[-1] != width:
        if choices.shortcut == "A":
            shortcut = ZeroPaddedShortcut(width, stride=stride, name=f"{name}_shortcut")
            x = shortcut(x)
        else:
            x = _convolution(x, width, 1, stride=stride, name=f"{name}_shortcut_conv")
            x = BatchNormalization(**BATCH_NORM, name=f"{name}_shortcut_bn")(x)
    y = layers.Add(name=f"{name}_add")([y, x])
    return layers.ReLU(name=f"{name}_out")(y)


def _last_batch_norm(choices, *, name):
    start = {"gamma_initializer": "zeros"} if choices.zero_init else {}
    return BatchNormalization(**BATCH_NORM, **start, name=name)


def _block_convolution(x, width, stride, choices, *, name):
    if choices.convolution == "standard":
        return _convolution(x, width, 3, stride=stride, name=name)
    padding = "same"
    if stride != 1:
        x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
        padding = "valid"
    x = layers.DepthwiseConv2D(
        3,
        strides=stride,
        padding=padding,
        use_bias=False,
        depthwise_initializer="he_normal",
        name=f"{name}_depthwise",
    )(x)
    x = BatchNormalization(**BATCH_NORM, name=f"{name}_depthwise_bn")(x)
    x = layers.ReLU(name=f"{name}_depthwise_relu")(x)
    return _convolution(x, width, 1, name=name)


def _convolution(x, width, size, *, stride=1, name):
    return blocks.convolution(
        x,
        width,
        size,
        stride=stride,
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )
