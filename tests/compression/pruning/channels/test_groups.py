"""Coupled groups against ones written down by hand."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from compression import pruning
from compression.pruning.channels.groups import couple
from compression.pruning.channels.plan import units_of
from tests.compression.pruning.channels.cutting import (
    assert_zeros_can_go,
    images_for,
    parameters,
    silence,
)
from tests.compression.small_nets import on_images, shaken


def makers(model):
    """The groups that may be cut: how many units, and who makes them."""
    return [
        (len(group.units), *group.makers)
        for group in couple(model).groups
        if not group.kept
    ]


def conv(filters, name, size=3, **options):
    return layers.Conv2D(filters, size, padding="same", name=name, **options)


def test_a_residual_sum_ties_what_makes_it():
    image = keras.Input((8, 8, 3), name="image")
    x = conv(4, "stem")(image)
    y = layers.BatchNormalization(name="norm")(conv(6, "inside")(x))
    y = conv(4, "back")(layers.ReLU()(y))
    x = layers.Add(name="sum")([x, y])
    x = layers.Flatten(name="flat")(layers.MaxPooling2D(4)(x))
    model = shaken(keras.Model(image, layers.Dense(2, name="logits")(x), name="net"))
    first, second, last = pruning.channel_groups(model)
    assert makers(model) == [(4, "stem", "back"), (6, "inside")]
    assert str(first).splitlines() == [
        "4 channels of stem, back",
        "  tied by sum (Add)",
        "  read by inside, logits",
    ]
    assert second.followers == ("norm",) and second.readers == ("back",)
    assert last.makers == ("logits",)
    assert last.kept == ("output logits of the model",)
    assert_zeros_can_go(model)


def test_a_zero_padded_shortcut_ties_the_middle():
    from architectures.layers import ZeroPaddedShortcut

    image = keras.Input((8, 8, 3), name="image")
    x = conv(4, "narrow")(image)
    y = conv(9, "wide", strides=2)(x)
    x = layers.Add(name="sum")([ZeroPaddedShortcut(9, stride=2, name="option_a")(x), y])
    x = layers.GlobalAveragePooling2D()(x)
    model = shaken(keras.Model(image, layers.Dense(2)(x)))
    assert makers(model) == [(4, "narrow", "wide"), (5, "wide")]
    for seed in range(3):
        smaller = assert_zeros_can_go(model, seed=seed)
    again = keras.Model.from_config(smaller.get_config())
    assert again.get_config() == smaller.get_config()


def test_concatenated_branches_are_groups_of_their_own():
    image = keras.Input((8, 8, 3), name="image")
    left, right = conv(3, "left")(image), conv(5, "right", 1)(image)
    x = layers.Concatenate(name="both")([left, right, image])
    x = layers.BatchNormalization(name="norm")(x)
    y = layers.Add(name="sum")([x, conv(11, "over")(x)])
    model = keras.Model(image, [conv(2, "one")(y), conv(2, "two")(x)])
    assert makers(model) == [(3, "left", "over"), (5, "right", "over")]
    kept = [group for group in couple(model).groups if group.kept]
    assert {group.kept for group in kept} >= {("input image of the model",)}
    assert_zeros_can_go(shaken(model))


def test_squeeze_and_excite():
    image = keras.Input((8, 8, 3), name="image")
    x = conv(8, "wide")(image)
    y = layers.Reshape((1, 1, 8), name="map")(layers.GlobalAveragePooling2D()(x))
    y = conv(2, "reduce", 1, activation="silu")(y)
    y = conv(8, "expand", 1, activation="sigmoid")(y)
    z = layers.GlobalAveragePooling2D(keepdims=True)(x)
    z = layers.Dense(8, activation="sigmoid", name="dense")(layers.Flatten()(z))
    x = layers.Multiply(name="times")([x, y])
    x = layers.Multiply(name="again")([x, z])
    where = conv(1, "where", activation="sigmoid")(x)  # one map for all channels
    x = layers.Multiply(name="spread")([x, where])
    model = shaken(keras.Model(image, conv(2, "out")(x)))
    assert makers(model) == [(8, "wide", "expand", "dense"), (2, "reduce")]
    assert_zeros_can_go(model)


@pytest.mark.parametrize(
    ("stack", "expected"),
    [
        (lambda: [layers.DepthwiseConv2D(3, depth_multiplier=2)], [(6, "first")]),
        (lambda: [layers.SeparableConv2D(4, 3, depth_multiplier=2, name="second")], 2),
        (lambda: [layers.Conv2DTranspose(4, 3, name="second")], 2),
        (
            lambda: [layers.Conv2D(4, 3, groups=2, name="second")],
            [(3, "first"), (2, "second")],
        ),
        (lambda: [layers.Conv2D(12, 3, groups=6)], [(6, "first")]),
        (lambda: [layers.GroupNormalization(3)], [(3, "first")]),
        (lambda: [layers.GroupNormalization(-1)], [(6, "first")]),
        (lambda: [layers.LayerNormalization(axis=(1, 2))], [(6, "first")]),
        (lambda: [layers.BatchNormalization(axis=1)], [(6, "first")]),
        (lambda: [layers.PReLU()], [(6, "first")]),
        (lambda: [layers.PReLU(shared_axes=(1, 2))], [(6, "first")]),
        (lambda: [layers.PReLU(shared_axes=(1, 2, 3))], [(6, "first")]),
        (lambda: [layers.UpSampling2D(), layers.Cropping2D(1)], [(6, "first")]),
        (lambda: [layers.Permute((2, 1, 3)), layers.Reshape((-1, 6))], [(6, "first")]),
        (lambda: [layers.Reshape((8, 48)), layers.Conv1D(4, 3, name="second")], 2),
        (lambda: [layers.Flatten(), layers.RepeatVector(3)], [(6, "first")]),
        (lambda: [layers.Permute((3, 1, 2))], []),
        (lambda: [layers.Softmax()], []),
        (lambda: [layers.Activation("softmax")], []),
        (lambda: [layers.Reshape((8, 8, 2, 3)), layers.Permute((1, 2, 4, 3))], []),
        (lambda: [layers.Dropout(0.5), layers.SpatialDropout2D(0.5)], [(6, "first")]),
    ],
)
def test_layers_that_channels_go_through(stack, expected):
    model = on_images(conv(6, "first"), *stack(), layers.Dense(2, name="out"))
    shaken(model)
    if expected == 2:
        expected = [(6, "first"), (4, "second")]
    assert makers(model) == expected
    if expected:
        shifts = any(getattr(x, "axis", -1) in (1, [1, 2]) for x in model.layers)
        assert_zeros_can_go(model, readers=shifts)


def test_one_and_three_dimensions():
    series = keras.Sequential(
        [
            keras.Input((9, 2)),
            layers.Conv1D(5, 3, name="a"),
            layers.ZeroPadding1D(1),
            layers.DepthwiseConv1D(3),
            layers.SeparableConv1D(4, 3, name="b"),
            layers.AveragePooling1D(2),
            layers.Conv1DTranspose(3, 2, name="c"),
            layers.GlobalMaxPooling1D(),
            layers.Dense(2),
        ]
    )
    assert makers(series) == [(5, "a"), (4, "b"), (3, "c")]
    assert_zeros_can_go(shaken(series))
    volumes = keras.Sequential(
        [
            keras.Input((5, 5, 5, 1)),
            layers.Conv3D(4, 3, name="a"),
            layers.Conv3DTranspose(3, 2, name="b"),
            layers.MaxPooling3D(2),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    assert makers(volumes) == [(4, "a"), (3, "b")]
    assert_zeros_can_go(shaken(volumes))


def test_attention_and_recurrent_layers_keep_what_they_read_and_give():
    x = image = keras.Input((8, 8, 2))
    x = layers.RandomErasing()(x)
    x = conv(6, "free")(x)
    x = layers.Reshape((64, 6))(conv(6, "read")(x))
    x = layers.Add()([x, layers.MultiHeadAttention(2, 3)(x, x)])
    x = layers.Dense(5, name="inside")(x)
    x = layers.TimeDistributed(layers.Dense(4))(layers.Dense(4, name="before")(x))
    x = layers.Dense(5, name="behind")(layers.LSTM(3)(x))
    x = layers.Dense(5, name="last")(x)
    similar = layers.Dot(1)([x, x])
    model = shaken(keras.Model(image, layers.Dense(2, name="logits")(similar)))
    assert makers(model) == [(6, "free"), (5, "inside"), (5, "behind")]
    plan = pruning.plan_channels(model, parameters=0.8)
    coupling = couple(model)
    silence(coupling, units_of(plan, coupling))
    smaller = pruning.remove_channels(model, plan)
    assert parameters(smaller) <= 0.8 * parameters(model)
    images = images_for(model)
    np.testing.assert_allclose(smaller(images), model(images), atol=1e-5)


def test_shared_layers_are_cut_once():
    image = keras.Input((8, 8, 4), name="image")
    twice = conv(6, "twice")
    norm = layers.BatchNormalization(name="norm")
    x = norm(twice(conv(5, "before")(image)))
    y = norm(twice(conv(5, "beside")(image)))
    model = shaken(keras.Model(image, conv(2, "out")(layers.Subtract()([x, y]))))
    assert makers(model) == [(5, "before", "beside"), (6, "twice")]
    [tied, *_] = couple(model).groups
    assert tied.ties == ("two calls of twice",)
    assert_zeros_can_go(model)
    loop = conv(4, "loop")
    x = loop(loop(image))
    assert makers(keras.Model(image, x)) == []  # it reads the image


def test_models_inside_are_flattened():
    a = keras.Input((8, 8, 4), name="a")
    inner = keras.Model(a, conv(4, "deep")(conv(6, "first")(a)), name="inner")
    image = keras.Input((8, 8, 3), name="image")
    x = conv(4, "stem")(image)
    model = shaken(keras.Model(image, conv(2, "out")(inner(inner(x))), name="net"))
    assert makers(model) == [(4, "stem", "inner/deep"), (6, "inner/first")]
    smaller = assert_zeros_can_go(model)
    assert not any(isinstance(layer, keras.Model) for layer in smaller.layers)


def test_several_inputs_and_outputs():
    left, right = keras.Input((6, 6, 1), name="left"), keras.Input((4,), name="right")
    x = layers.Flatten()(conv(5, "look")(left))
    y = layers.Dense(7, name="listen")(right)
    z = layers.Dense(4, name="both")(layers.Concatenate()([x, y]))
    outputs = {"a": layers.Dense(2, name="end")(z), "b": y}
    model = shaken(keras.Model({"left": left, "right": right}, outputs))
    assert makers(model) == [(5, "look"), (4, "both")]
    assert_zeros_can_go(model)


def test_operations():
    image = keras.Input((8, 8, 3), name="image")
    x = ops.relu(conv(4, "a")(image)) * 2.0 + conv(4, "b")(image)
    x = ops.concatenate([x, ops.tanh(conv(3, "c")(image))], axis=-1)[:, 1:]
    x = ops.mean(x, axis=(1, 2))
    model = shaken(keras.Model(image, layers.Dense(2)(x)))
    assert makers(model) == [(4, "a", "b"), (3, "c")]
    assert_zeros_can_go(model)
    x = conv(4, "a")(image)
    for kept in (x[..., :2], x * np.arange(4.0, dtype="float32"), ops.mean(x, -1)):
        assert makers(keras.Model(image, layers.Dense(2)(kept))) == []


class Strange(layers.Layer):
    def call(self, x):
        return x[..., ::-1]


class Mean(layers.Conv2D):
    def convolution_op(self, inputs, kernel):  # of all channels, so all count
        return super().convolution_op(inputs, kernel - ops.mean(kernel, axis=(0, 1, 2)))


class Doubled(layers.Layer):
    """Declares what it does: every channel twice, each time with a factor."""

    def __init__(self, factors=None, **kwargs):
        super().__init__(**kwargs)
        self.factors = factors

    def build(self, shape):
        self.factor = self.add_weight(shape=(2 * shape[-1],), name="factor")
        super().build(shape)

    def call(self, x):
        return self.factor * ops.concatenate([x, x], -1)

    def channel_sources(self, channels):
        return [*range(channels)] * 2

    def keep_channels(self, inputs, outputs):
        made = Doubled()
        made.build((None, len(inputs)))
        made.factor.assign(np.array(self.factor)[outputs])
        return made


def test_a_layer_that_declares_what_it_does():
    model = on_images(conv(6, "first"), Doubled(name="twice"), conv(2, "out"))
    shaken(model)
    assert makers(model) == [(6, "first")]
    assert_zeros_can_go(model)


def tripled(x):
    return ops.maximum(3 * x, -1.0)


def normed(x):
    return ops.softmax(2 * x, axis=-1)


def shifted(x):
    return ops.log(x)


def test_functions_that_nobody_knows_are_tried():
    """Whether they mix channels shows when one channel changes."""
    for function, expected in (
        (tripled, [(6, "first")]),
        (shifted, [(6, "first")]),
        (normed, []),
        (keras.activations.sparsemax, []),
        (lambda x: x.this_is_no_tensors, []),
    ):
        inside = layers.Activation("linear", name="inside")
        model = on_images(conv(6, "first"), inside, layers.Dense(2, name="out"))
        inside.activation = function
        assert makers(model) == expected
    model = on_images(conv(6, "first", activation=tripled), layers.Dense(2))
    assert_zeros_can_go(shaken(model))


@pytest.mark.parametrize(
    ("stack", "message"),
    [
        (
            lambda: [Strange(name="strange")],
            r"strange \(Strange\) does to channels is not",
        ),
        (
            lambda: [Mean(4, 3, name="mean")],
            r"mean \(Mean\) does to channels is not known, for it has a convolution_op",
        ),
        (
            lambda: [layers.Reshape((64, 4)), layers.Masking(name="masked")],
            r"masked \(Masking\) does to",
        ),
        (
            lambda: [layers.Conv2D(4, 3, data_format="channels_first", name="c")],
            r"c \(Conv2D\) has its channels first",
        ),
    ],
)
def test_what_no_rule_covers_is_named(stack, message):
    with pytest.raises(ValueError, match=message):
        pruning.plan_channels(on_images(*stack()), macs=0.5)


def test_wrong_declarations_are_named():
    class Weighted(Strange):
        def build(self, shape):
            self.add_weight(shape=(2,))

        def channel_sources(self, channels):
            return range(channels)

    class Beyond(Strange):
        def channel_sources(self, channels):
            return range(channels + 1)

    for kind, message in (
        (Weighted, r"w \(Weighted\) has weights but no keep_channels"),
        (Beyond, r"channel_sources of w \(Beyond\) must give numbers from -1 to 3"),
    ):
        with pytest.raises(ValueError, match=message):
            couple(on_images(kind(name="w")))
    image = keras.Input((4, 4, 2))
    with pytest.raises(ValueError, match="erf.* does to channels is not known"):
        couple(keras.Model(image, ops.erfinv(image)))
    with pytest.raises(ValueError, match="without a graph"):
        couple(keras.Sequential([layers.Dense(1)], name="s"))


def test_a_constraint_made_for_its_kernel_keeps_the_channels():
    import architectures

    model = architectures.build("lenet5", connections="partial")
    assert makers(model) == [(120, "c5"), (84, "f6")]
    reasons = {m: g.kept for g in couple(model).groups for m in g.makers}
    assert reasons["c1"] == ("C3Connections of c3 (Conv2D) is made for them",)
    shaken(model)
    kernel = model.get_layer("c3").kernel
    kernel.assign(kernel.constraint(kernel))
    assert_zeros_can_go(model)
