"""Which variables are kernels and learned, and where their channels are."""

import keras
from keras import layers

from compression.weights import channel_axes, kernels, learned_variables
from tests.compression.small_nets import alexnet


def test_learned_variables_do_not_depend_on_freezing():
    net = alexnet()
    names = [v.path for v in learned_variables(net)]
    assert sum(v.shape.num_elements() for v in learned_variables(net)) == 73_010
    assert not any("moving" in name for name in names)
    net.trainable = False
    assert [v.path for v in learned_variables(net)] == names


def every_kind():
    image = keras.Input((6, 6, 3))
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(image)
    x = layers.SeparableConv2D(4, 2, name="separable")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Conv2DTranspose(4, 2, name="transposed")(x)
    inner = keras.Sequential([keras.Input((4, 4, 4)), layers.Conv2D(2, 1, name="conv")])
    x = layers.Flatten()(inner(x))
    return keras.Model(image, layers.Dense(2, name="dense")(x))


def test_kernels_are_those_of_convolutions_and_dense_layers_at_any_depth():
    model = every_kind()
    assert [v.path.split("/")[-2:] for v in kernels(model)] == [
        ["depthwise", "kernel"],
        ["separable", "depthwise_kernel"],
        ["separable", "pointwise_kernel"],
        ["transposed", "kernel"],
        ["conv", "kernel"],
        ["dense", "kernel"],
    ]
    model.get_layer("dense").trainable = False
    assert len(kernels(model)) == 5


def test_channels_that_are_not_on_the_last_axis():
    model = every_kind()
    axes = channel_axes(model)
    assert {v.path: axes[id(v)] for v in model.variables if id(v) in axes} == {
        "depthwise/kernel": (-2, -1),  # (3, 3, 3, 2): channel in, multiplier
        "separable/depthwise_kernel": (-2, -1),
        "transposed/kernel": (-2,),  # (2, 2, channels out, channels in)
    }


def test_channels_of_the_kernels_of_attention():
    inputs = keras.Input((5, 8))
    attended = layers.MultiHeadAttention(2, 3)(inputs, inputs)
    model = keras.Model(inputs, layers.EinsumDense("ab,bc->ac", 4)(attended[:, 0]))
    axes = channel_axes(model)
    assert {
        v.path.split("/")[-2]: axes[id(v)] for v in kernels(model) if id(v) in axes
    } == {
        "query": (-2, -1),  # (8, heads, size of one)
        "key": (-2, -1),
        "value": (-2, -1),
    }
