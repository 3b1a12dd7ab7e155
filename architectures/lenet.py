"""LeNet-5: LeCun, Bottou, Bengio, Haffner (1998).

"Gradient-Based Learning Applied to Document Recognition",
http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf, section II-B.
"""

import keras
import numpy as np
from keras import layers, ops

from architectures.blocks import check_choice, check_image

PAPER_SIDE = 32  # section II-B: digits of 28 px in images of 32

# Table I: the maps of S2 (0 to 5) that each of the 16 maps of C3 sees.
C3_SEES = (
    *((i, (i + 1) % 6, (i + 2) % 6) for i in range(6)),
    *((i, (i + 1) % 6, (i + 2) % 6, (i + 3) % 6) for i in range(6)),
    *((i, i + 1, (i + 3) % 6, (i + 4) % 6) for i in range(3)),
    (0, 1, 2, 3, 4, 5),
)


@keras.saving.register_keras_serializable("limbeck")
class C3Connections(keras.constraints.Constraint):
    """Table I of the paper as a constraint: what C3 does not see has weight zero.

    It leaves 1,516 trainable numbers of C3's 2,416, as the paper counts.
    """

    def __call__(self, kernel):
        seen = np.zeros((6, 16), "float32")
        for to, maps in enumerate(C3_SEES):
            seen[maps, to] = 1
        return kernel * ops.cast(seen, kernel.dtype)


@keras.saving.register_keras_serializable("limbeck")
class C3Initializer(keras.initializers.Initializer):
    """Glorot's uniform numbers where C3 sees, zeros elsewhere."""

    def __call__(self, shape, dtype=None):
        return C3Connections()(keras.initializers.GlorotUniform()(shape, dtype))


def lenet5(
    *,
    input_shape: tuple[int, int, int] = (28, 28, 1),
    classes: int = 10,
    activation: str = "relu",
    pooling: str = "max",
    connections: str = "full",
    name: str = "lenet5",
) -> keras.Model:
    """LeNet-5 in the form that is common today; logits come out.

    Layers are named as in the paper: convolutions `c1`, `c3`, pooling `s2`, `s4`,
    dense `c5` (a convolution that covers its whole input), `f6`. Images under 32 px
    are padded to 32 with zeros, as the paper pads MNIST.

    The 1998 net is `activation="tanh", pooling="average", connections="partial"`,
    save for three things: its pooling has a trainable factor and bias a map, its tanh
    is 1.7159 tanh(2x/3), and its last layer measures distances to drawn digits.

    Args:
        input_shape: (height, width, channels), at least 8 pixels a side.
        classes: number of logits.
        activation: "relu", or "tanh" as in 1998.
        pooling: "max", or "average" as in 1998.
        connections: "full", or "partial": C3 sees what table I says, which a
            constraint on its kernel upholds (see `C3Connections`).
        name: name of the model.

    Raises:
        ValueError: the images are too small, or a choice is not among these.
    """
    check_image(name, input_shape, at_least=8)
    check_choice("activation", activation, ("relu", "tanh"))
    check_choice("pooling", pooling, ("max", "average"))
    check_choice("connections", connections, ("full", "partial"))
    pool = layers.MaxPooling2D if pooling == "max" else layers.AveragePooling2D
    kernel = {"kernel_initializer": "he_normal"} if activation == "relu" else {}
    seen = kernel
    if connections == "partial":
        seen = {
            "kernel_initializer": C3Initializer(),
            "kernel_constraint": C3Connections(),
        }

    x = image = keras.Input(input_shape, name="image")
    x = _first_convolution(x, kernel)
    x = _activation(activation, 1)(x)
    x = pool(2, name="s2")(x)
    x = layers.Conv2D(16, 5, name="c3", **seen)(x)
    x = _activation(activation, 3)(x)
    x = pool(2, name="s4")(x)
    x = layers.Flatten(name="flatten")(x)
    for layer, units in (("c5", 120), ("f6", 84)):
        x = layers.Dense(units, name=layer, **kernel)(x)
        x = _activation(activation, layer[1])(x)
    return keras.Model(image, layers.Dense(classes, name="logits")(x), name=name)


def _activation(kind, number):
    if kind == "relu":
        return layers.ReLU(name=f"relu{number}")
    return layers.Activation(kind, name=f"{kind}{number}")


def _first_convolution(x, kernel):
    missing = [max(0, PAPER_SIDE - side) for side in x.shape[1:3]]
    padding = "valid"
    if missing == [4, 4]:  # MNIST: two zeros on each side, which is "same" for 5x5
        padding = "same"
    elif any(missing):
        around = tuple((n // 2, n - n // 2) for n in missing)
        x = layers.ZeroPadding2D(around, name="c1_pad")(x)
    return layers.Conv2D(6, 5, padding=padding, name="c1", **kernel)(x)


def lenet5_caffe(
    *,
    input_shape: tuple[int, int, int] = (28, 28, 1),
    classes: int = 10,
    name: str = "lenet5_caffe",
) -> keras.Model:
    """Caffe's LeNet, 20-50-500, which the papers on compression call LeNet-5.

    https://github.com/BVLC/caffe/blob/master/examples/mnist/lenet.prototxt: no padding,
    no activation after the convolutions, ReLU after `ip1`; Caffe's `ip2` is `logits`.

    Args:
        input_shape: (height, width, channels), at least 16 pixels a side.
        classes: number of logits.
        name: name of the model.

    Raises:
        ValueError: the images are too small.
    """
    check_image(name, input_shape, at_least=16)
    xavier = {"kernel_initializer": "lecun_uniform"}  # Caffe's "xavier" is by fan-in
    x = image = keras.Input(input_shape, name="image")
    for i, filters in enumerate((20, 50), start=1):
        x = layers.Conv2D(filters, 5, name=f"conv{i}", **xavier)(x)
        x = layers.MaxPooling2D(name=f"pool{i}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(500, name="ip1", **xavier)(x)
    x = layers.ReLU(name="relu1")(x)
    logits = layers.Dense(classes, name="logits", **xavier)(x)
    return keras.Model(image, logits, name=name)
