"""Residual nets: He et al., "Deep Residual Learning for Image Recognition" (2015).

https://arxiv.org/abs/1512.03385
"""

import keras
from keras import layers

from architectures.layers import ZeroPaddedShortcut

STAGE_WIDTHS = (16, 32, 64)  # section 4.2, the table of feature maps
BATCH_NORM = {"momentum": 0.9, "epsilon": 1e-5}


def resnet_cifar(
    depth: int,
    *,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    name: str = "resnet_cifar",
) -> keras.Model:
    """The CIFAR form (section 4.2) of `depth` = 6n + 2 layers; logits come out.

    Shortcuts are option A: they have no weights. Every 3x3 convolution pads by one
    on each side, also at stride 2, where TensorFlow's "same" would be lopsided.
    Blocks are named `stage1_block1` to `stage3_blockN`; the last layer of a block
    ends in `_out`.

    Args:
        depth: number of weighted layers on the longest path: 20, 32, 44, 56, 110.
        input_shape: (height, width, channels), at least 8 pixels a side.
        classes: number of logits.
        name: name of the model.

    Raises:
        ValueError: `depth` is not 6n + 2, or the images are too small.
    """
    if depth < 8 or (depth - 2) % 6:
        raise ValueError(f"depth must be 6n + 2 with n >= 1, got {depth}")
    if min(input_shape[:2]) < 8:
        raise ValueError(f"{name} needs images of at least 8 px, got {input_shape}")
    blocks = (depth - 2) // 6

    image = keras.Input(input_shape, name="image")
    x = _convolution(image, STAGE_WIDTHS[0], stride=1, name="conv1")
    x = layers.BatchNormalization(**BATCH_NORM, name="bn1")(x)
    x = layers.ReLU(name="relu1")(x)
    for stage, width in enumerate(STAGE_WIDTHS, start=1):
        for block in range(1, blocks + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            x = _basic_block(x, width, stride, name=f"stage{stage}_block{block}")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    logits = layers.Dense(classes, kernel_initializer="he_normal", name="logits")(x)
    return keras.Model(image, logits, name=name)


def _basic_block(x, width, stride, *, name):
    """Two 3x3 convolutions and a shortcut (figure 2, right)."""
    shortcut = x
    if stride != 1 or x.shape[-1] != width:
        shortcut = ZeroPaddedShortcut(width, stride=stride, name=f"{name}_shortcut")(x)
    x = _convolution(x, width, stride=stride, name=f"{name}_conv1")
    x = layers.BatchNormalization(**BATCH_NORM, name=f"{name}_bn1")(x)
    x = layers.ReLU(name=f"{name}_relu1")(x)
    x = _convolution(x, width, stride=1, name=f"{name}_conv2")
    x = layers.BatchNormalization(**BATCH_NORM, name=f"{name}_bn2")(x)
    x = layers.Add(name=f"{name}_add")([x, shortcut])
    return layers.ReLU(name=f"{name}_out")(x)


def _convolution(x, width, *, stride, name):
    padding = "same"
    if stride != 1:
        x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
        padding = "valid"
    return layers.Conv2D(
        width,
        3,
        strides=stride,
        padding=padding,
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
