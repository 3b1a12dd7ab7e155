"""Each net against its paper: counts, sizes, and that it trains, saves and runs."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import initializers, layers

import architectures
from architectures.googlenet import head_weights, without_heads
from architectures.lenet import C3_SEES
from architectures.resnet import BASIC_PLANS, BOTTLENECK_PLANS, resnet, resnet_cifar
from architectures.vgg import vgg, vgg_cifar

# The published figures; the cards repeat them, here they stand on their own.
PARAMETERS = {
    "lenet_300_100": 266_610,
    "mlp_1200": 2_395_210,
    "mlp_800": 1_276_810,
    "lenet5": 61_706,
    "lenet5_caffe": 431_080,
    "alexnet": 60_965_224,
    "alexnet_owt": 61_100_840,
    "zfnet": 62_357_608,
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "vgg11_bn": 132_868_840,
    "vgg13_bn": 133_053_736,
    "vgg16_bn": 138_365_992,
    "vgg19_bn": 143_678_248,
    "googlenet": 6_998_552,  # bvlc_googlenet without heads
    "googlenet_bn": 6_624_904,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "resnet20": 269_722,
    "resnet32": 464_154,
    "resnet44": 658_586,
    "resnet56": 853_018,
    "resnet110": 1_727_962,
}
GIGA_MACS = {
    "alexnet_owt": 0.714,
    "vgg11": 7.609,
    "vgg13": 11.308,
    "vgg16": 15.470,
    "vgg19": 19.632,
    "googlenet_bn": 1.498,
    "resnet18": 1.814,
    "resnet34": 3.664,
    "resnet50": 4.089,
    "resnet101": 7.801,
    "resnet152": 11.514,
}
GOOGLENET_SIDES = {
    "conv1": 112,
    "pool1": 56,
    "conv2": 56,
    "pool2": 28,
    "inception_3a": 28,
    "inception_3b": 28,
    "pool3": 14,
    "inception_4a": 14,
    "inception_4e": 14,
    "pool4": 7,
    "inception_5b": 7,
}
RESNET_SIDES = {"conv1": 112, "pool1": 56} | {
    f"stage{s}_block1_out": side for s, side in enumerate((56, 28, 14, 7), start=1)
}
RESNET_CIFAR_SIDES = {"conv1": 32} | {
    f"stage{s}_block1_out": side for s, side in enumerate((32, 16, 8), start=1)
}
SIDES = (
    {
        "lenet5": {"c1": 28, "s2": 14, "c3": 10, "s4": 5},
        "lenet5_caffe": {"conv1": 24, "pool1": 12, "conv2": 8, "pool2": 4},
        "alexnet": {"conv1": 55, "pool1": 27, "conv2": 27, "pool2": 13, "pool5": 6},
        "alexnet_owt": {"conv1": 55, "pool1": 27, "conv2": 27, "pool2": 13, "pool5": 6},
        "alexnet_small": {"conv1": 32, "pool1": 15, "pool2": 7, "pool5": 3},
        "zfnet": {"conv1": 110, "pool1": 55, "conv2": 26, "pool2": 13, "pool5": 6},
        "zfnet_small": {"conv1": 32, "pool1": 16, "pool2": 8, "pool5": 4},
        "zfnet_residual": {
            "pool2": 13,
            "stage1_block1_out": 13,
            "stage4_block1_out": 2,
        },
        "googlenet": GOOGLENET_SIDES,
        "googlenet_bn": GOOGLENET_SIDES,
        "googlenet_cifar": {"conv1": 32, "inception_3b": 32, "pool3": 16, "pool4": 8},
    }
    | {
        f"vgg{n}{form}": {f"pool{s}": 224 >> s for s in range(1, 6)}
        for n in (11, 13, 16, 19)
        for form in ("", "_bn")
    }
    | {
        f"vgg{n}_cifar": {f"pool{s}": 32 >> s for s in range(1, 6)}
        for n in (11, 13, 16, 19)
    }
    | {f"resnet{n}": RESNET_SIDES for n in (18, 34, 50, 101, 152)}
    | {f"resnet{n}": RESNET_CIFAR_SIDES for n in (20, 32, 44, 56, 110)}
)


def count_parameters(model):
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights)


def count_macs(model):
    """Multiply-accumulates of one image: kernel times output positions, no biases."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, layers.DepthwiseConv2D | layers.Conv2D):
            per_position = int(np.prod(layer.kernel.shape))
            total += per_position * int(np.prod(layer.output.shape[1:3]))
        elif isinstance(layer, layers.Dense):
            total += int(np.prod(layer.kernel.shape))
    return total


BIG = {f"vgg{n}{form}" for n in (13, 16, 19) for form in ("", "_bn")} | {"vgg11_bn"}
BIG |= {"resnet34", "resnet101", "resnet152", "resnet32", "resnet44", "resnet110"}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=[pytest.mark.slow] if name in BIG else [])
        for name in architectures.names()
    ],
)
def full(request):
    """A net of the catalogue at its paper's size, one after the other."""
    with pytest.MonkeyPatch.context() as patch:
        for kind in (initializers.VarianceScaling, initializers.RandomNormal):
            patch.setattr(kind, "__call__", zeros)
        return request.param, architectures.build(request.param)


def test_depths_of_resnets_are_those_of_table_1():
    """Built and counted each time are 18 and 50, and of CIFAR's 20 and 56."""
    assert BASIC_PLANS == {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
    bottlenecks = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
    assert bottlenecks == BOTTLENECK_PLANS


def zeros(self, shape, dtype=None):
    """In the place of hundreds of millions of random numbers that nobody looks at."""
    return keras.ops.zeros(shape, dtype)


def test_counts_are_the_published_ones(full):
    name, model = full
    card = architectures.card(name)
    assert count_parameters(model) == card.parameters
    assert count_parameters(model) == PARAMETERS.get(name, card.parameters)
    assert count_macs(model) == card.macs
    if name in GIGA_MACS:
        assert count_macs(model) == pytest.approx(GIGA_MACS[name] * 1e9, rel=1e-3)


def test_form_is_the_papers(full):
    name, model = full
    assert model.name == name
    assert model.input_shape == (None, *architectures.card(name).input_shape)
    for layer, side in SIDES.get(name, {}).items():
        assert model.get_layer(layer).output.shape[1:3] == (side, side), layer


def test_graph_has_only_layers_and_no_softmax(full):
    _, model = full
    assert all(isinstance(node, keras.Layer) for node in model.operations)
    assert model.layers[0].name == "image"
    assert model.layers[-1].name == "logits"
    assert model.layers[-1].activation is keras.activations.linear


# Every builder and option, at the smallest size that it takes, with five classes.
SMALL = {
    "mlp": partial(architectures.build, "mlp", widths=(20, 10, 8), dropout=0.5),
    "lenet5": partial(architectures.build, "lenet5"),
    "lenet5 of 1998": partial(
        architectures.build,
        "lenet5",
        activation="tanh",
        pooling="average",
        connections="partial",
    ),
    "lenet5_caffe": partial(architectures.build, "lenet5_caffe"),
    "alexnet": partial(architectures.build, "alexnet", input_shape=(67, 67, 3)),
    "alexnet_owt": partial(architectures.build, "alexnet_owt", input_shape=(63, 63, 3)),
    "alexnet_small": partial(architectures.build, "alexnet_small", width=0.25),
    "alexnet_small without batch norm": partial(
        architectures.build, "alexnet_small", width=0.25, batch_norm=False
    ),
    "alexnet_small, tanh, response norm, plain pooling": partial(
        architectures.build,
        "alexnet_small",
        width=0.25,
        batch_norm=False,
        response_norm=True,
        activation="tanh",
        overlapping=False,
    ),
    "zfnet": partial(architectures.build, "zfnet", input_shape=(47, 47, 3)),
    "zfnet_small": partial(
        architectures.build, "zfnet_small", width=0.125, batch_norm=False
    ),
    "zfnet_residual": partial(
        architectures.build, "zfnet_residual", input_shape=(32, 32, 3)
    ),
    "vgg11": partial(architectures.build, "vgg11", input_shape=(32, 32, 3)),
    "vgg11_cifar": partial(architectures.build, "vgg11_cifar"),
    "googlenet": partial(
        architectures.build, "googlenet", input_shape=(79, 79, 3), auxiliary=True
    ),
    "googlenet_bn": partial(
        architectures.build, "googlenet_bn", input_shape=(64, 64, 3), auxiliary=True
    ),
    "googlenet_cifar": partial(
        architectures.build, "googlenet_cifar", input_shape=(8, 8, 3)
    ),
    "resnet18, A": partial(
        architectures.build, "resnet18", input_shape=(32, 32, 3), shortcut="A"
    ),
    "resnet50": partial(architectures.build, "resnet50", input_shape=(32, 32, 3)),
    "resnet20": partial(architectures.build, "resnet20", input_shape=(8, 8, 3)),
    "resnet8, B": partial(resnet_cifar, 8, input_shape=(8, 8, 3), shortcut="B"),
    "resnet8, plain": partial(resnet_cifar, 8, input_shape=(8, 8, 3), shortcut="none"),
    "resnet8, separable": partial(
        resnet_cifar, 8, input_shape=(8, 8, 3), convolution="separable"
    ),
}


# Of nets built by the same function or of the same layers, the smallest is saved.
LIKE_OTHERS = {"resnet50", "googlenet_bn", "googlenet_cifar"}
LIKE_OTHERS |= {"alexnet_owt", "vgg11", "zfnet", "zfnet_residual"}
SAVED = sorted(SMALL.keys() - LIKE_OTHERS)


# Built of the layers and functions of others, and much larger.
LARGE = {"resnet50", "googlenet_bn", "googlenet_cifar", "alexnet_owt", "vgg11"}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=[pytest.mark.slow] if name in LARGE else [])
        for name in SMALL
    ],
)
def small(request):
    keras.utils.set_random_seed(1)
    return SMALL[request.param](classes=5)


def images(model, number, seed=0):
    shape = (number, *model.input_shape[1:])
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def logits_of(model, batch):
    out = model(batch, training=False)
    return keras.ops.convert_to_numpy(out["logits"] if isinstance(out, dict) else out)


@pytest.mark.slow
def test_every_weight_gets_a_gradient(small):
    batch = images(small, 4)
    with tf.GradientTape() as tape:
        out = small(batch, training=False)
        heads = out.values() if isinstance(out, dict) else [out]
        losses = [
            keras.losses.sparse_categorical_crossentropy(
                np.array([0, 1, 2, 3]), head, from_logits=True
            )
            for head in heads
        ]
        loss = tf.add_n([tf.reduce_mean(loss) for loss in losses])
    variables = [w.value for w in small.trainable_weights]
    for weight, gradient in zip(
        small.trainable_weights, tape.gradient(loss, variables), strict=True
    ):
        assert gradient is not None, weight.path
        assert np.isfinite(gradient).all(), weight.path
        assert np.any(gradient), weight.path


@pytest.mark.slow
def test_an_image_does_not_mind_its_batch(small):
    batch = images(small, 3)
    three = logits_of(small, batch)
    assert three.shape == (3, 5)
    one = np.concatenate([logits_of(small, batch[i : i + 1]) for i in range(3)])
    np.testing.assert_allclose(one, three, rtol=1e-4, atol=1e-4 * abs(three).max())


@pytest.mark.parametrize("small", SAVED, indirect=True)
@pytest.mark.slow
def test_a_saved_net_comes_back(small, tmp_path):
    small.save(tmp_path / "net.keras")
    again = keras.models.load_model(tmp_path / "net.keras")
    batch = images(small, 2)
    np.testing.assert_array_equal(logits_of(again, batch), logits_of(small, batch))
    names = [layer.name for layer in small.layers]
    assert [layer.name for layer in again.layers] == names


@pytest.mark.parametrize("name", ["resnet20", "alexnet_small", "lenet5"])
def test_a_second_instance_has_the_same_names_and_its_own_weights(name):
    one, two = architectures.build(name), architectures.build(name)
    assert [w.path for w in one.weights] == [w.path for w in two.weights]
    before = [w.numpy() for w in two.weights]
    for weight in one.weights:
        weight.assign(weight + 1)
    for weight, value in zip(two.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


@pytest.fixture
def policy():
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


# Unit roundoff is 2^-11 and 2^-8; a few hundred roundings add up along the net.
@pytest.mark.parametrize(
    ("net", "name", "tolerance"),
    [
        ("lenet5", "mixed_bfloat16", 0.15),
        ("zfnet", "mixed_float16", 0.02),
        ("resnet20", "mixed_bfloat16", 0.15),
        pytest.param("lenet5", "mixed_float16", 0.02, marks=pytest.mark.slow),
        pytest.param("zfnet", "mixed_bfloat16", 0.15, marks=pytest.mark.slow),
        pytest.param("resnet20", "mixed_float16", 0.02, marks=pytest.mark.slow),
    ],
)
def test_half_precision_agrees_with_single(net, name, tolerance, policy):
    keras.utils.set_random_seed(0)
    single = SMALL[net](classes=5)
    policy(name)
    half = SMALL[net](classes=5)
    assert half.get_layer("logits").compute_dtype == name.removeprefix("mixed_")
    half.set_weights(single.get_weights())
    batch = images(single, 2)
    expected, actual = logits_of(single, batch), logits_of(half, batch)
    assert abs(actual - expected).max() < tolerance * abs(expected).max()


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
@pytest.mark.parametrize("net", ["lenet5", "alexnet_small", "resnet20"])
@pytest.mark.slow
def test_pure_half_precision_runs(net, name, policy):
    policy(name)
    model = SMALL[net](classes=5)
    assert {w.dtype for w in model.weights} == {name}
    assert np.isfinite(logits_of(model, images(model, 1)).astype("float32")).all()


@pytest.mark.parametrize(
    ("name", "shape", "layer", "expected"),
    [
        ("mlp", (7, 5, 2), "flatten", (70,)),
        ("lenet5", (8, 8, 1), "c1", (28, 28, 6)),  # padded to 32 px
        ("lenet5", (30, 28, 1), "c1", (28, 28, 6)),
        ("lenet5", (32, 40, 3), "c1", (28, 36, 6)),
        ("lenet5_caffe", (33, 16, 1), "pool2", (5, 1, 50)),
        ("alexnet", (99, 67, 3), "pool5", (2, 1, 256)),
        ("alexnet_owt", (63, 95, 1), "pool5", (1, 2, 256)),
        ("zfnet", (50, 47, 3), "pool1", (11, 11, 96)),  # 23x22 before: one is cut off
        ("zfnet_small", (33, 28, 1), "pool5", (4, 3, 256)),  # none is cut off at 33
        ("vgg11_cifar", (33, 65, 4), "pool5", (1, 2, 512)),
        ("googlenet_cifar", (9, 12, 3), "pool3", (4, 6, 480)),
        ("resnet18", (33, 64, 3), "stage4_block1_out", (2, 2, 512)),
        ("resnet20", (9, 13, 1), "stage3_block1_out", (3, 4, 64)),
    ],
)
@pytest.mark.slow
def test_other_images_do_too(name, shape, layer, expected):
    model = architectures.build(name, input_shape=shape, classes=3)
    assert model.get_layer(layer).output.shape[1:] == expected
    assert logits_of(model, images(model, 1)).shape == (1, 3)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mlp", {"widths": ()}, "widths must be positive"),
        ("mlp", {"widths": (3, 0)}, "widths must be positive"),
        ("mlp", {"input_shape": (None, 3)}, "needs a known input shape"),
        ("mlp", {"max_norm": 0.0}, "max_norm must be positive, got 0.0"),
        ("lenet5", {"input_shape": (7, 28, 1)}, "at least 8 px"),
        ("lenet5", {"activation": "gelu"}, "activation must be one of"),
        ("lenet5", {"pooling": "min"}, "pooling must be one of"),
        ("lenet5", {"connections": "none"}, "connections must be one of"),
        ("lenet5_caffe", {"input_shape": (15, 15, 1)}, "at least 16 px"),
        ("alexnet", {"input_shape": (66, 67, 3)}, "at least 67 px"),
        ("alexnet_owt", {"input_shape": (62, 63, 3)}, "at least 63 px"),
        ("alexnet_small", {"width": 0}, "width must be positive"),
        ("alexnet_small", {"activation": "gelu"}, "activation must be one of"),
        ("alexnet_small", {"response_norm": True}, "batch_norm=False"),
        ("alexnet_small", {"input_shape": (65, 32, 3)}, "28 to 64 px"),
        ("zfnet", {"input_shape": (46, 47, 3)}, "at least 47 px"),
        ("zfnet_small", {"width": -0.5}, "width must be positive, got -0.5"),
        ("zfnet_small", {"input_shape": (32, 27, 3)}, "28 to 64 px"),
        ("zfnet_residual", {"input_shape": (31, 32, 3)}, "at least 32 px"),
        ("vgg11", {"input_shape": (31, 32, 3)}, "at least 32 px"),
        ("vgg11_cifar", {"input_shape": (None, None, 3)}, "at least 32 px"),
        ("vgg11_cifar", {"width": 0}, "width must be positive"),
        ("googlenet", {"input_shape": (31, 31, 3)}, "at least 32 px"),
        ("googlenet", {"input_shape": (78, 78, 3), "auxiliary": True}, "at least 79"),
        ("googlenet_bn", {"input_shape": (63, 63, 3), "auxiliary": True}, "least 64"),
        ("googlenet_cifar", {"input_shape": (7, 8, 3)}, "at least 8 px"),
        ("googlenet_cifar", {"width": 0}, "width must be positive"),
        ("resnet18", {"input_shape": (32, 32)}, "at least 32 px"),
        ("resnet20", {"input_shape": (7, 7, 3)}, "at least 8 px"),
        ("resnet20", {"width": 0.0}, "width must be positive, got 0.0"),
        ("resnet20", {"shortcut": "C"}, "shortcut must be one of"),
        ("resnet20", {"shortcut": "none", "zero_init": True}, "shortcut='none' has"),
        ("resnet20", {"convolution": "wide"}, "convolution must be one of"),
    ],
)
def test_what_cannot_be_is_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        architectures.build(name, **options)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (vgg, "depth must be one of"),
        (vgg_cifar, "depth must be one of"),
        (resnet, "depth must be one of"),
        (resnet_cifar, "depth must be 6n"),
    ],
)
def test_there_is_no_net_of_depth_12(build, message):
    with pytest.raises(ValueError, match=message):
        build(12)


def test_c3_sees_what_table_1_says():
    assert [len(maps) for maps in C3_SEES] == [3] * 6 + [4] * 9 + [6]
    assert sorted(C3_SEES[14]) == [0, 2, 3, 5]
    model = architectures.build("lenet5", connections="partial")
    kernel = model.get_layer("c3").kernel
    unseen = kernel.numpy() == 0
    assert (~unseen).sum() + 16 == 1_516  # section II-B
    assert unseen[:, :, 3, 0].all()
    assert not unseen[:, :, 2, 0].any()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images(model, 8), np.arange(8), verbose=0)
    np.testing.assert_array_equal(kernel.numpy() == 0, unseen)


def test_alexnet_starts_as_section_5_says():
    model = architectures.build("alexnet", input_shape=(67, 67, 3), classes=5)
    ones = [f"conv{i}" for i in (2, 4, 5)] + ["fc6", "fc7"]
    for layer in model.layers:
        if layer.weights:
            assert (layer.bias.numpy() == (1 if layer.name in ones else 0)).all()
            assert layer.kernel.numpy().std() == pytest.approx(0.01, rel=0.1)


def test_alexnet_fits_224_px_with_two_zeros_around():
    model = architectures.build("alexnet", input_shape=(224, 224, 3), padding=2)
    assert count_parameters(model) == PARAMETERS["alexnet"]


@pytest.mark.parametrize(
    ("depth", "weights"),
    # Option A's count and, where the map halves, a 1x1 kernel, scale and offset.
    [
        (20, 269_722 + 16 * 32 + 64 + 32 * 64 + 128),
        pytest.param(56, 853_018 + 2_752, marks=pytest.mark.slow),
    ],
)
def test_shortcut_b_costs_two_projections(depth, weights):
    model = architectures.build(f"resnet{depth}", shortcut="B")
    assert count_parameters(model) == weights


def test_a_plain_net_has_the_weights_of_shortcut_a_and_no_adds():
    plain = architectures.build("resnet20", shortcut="none")
    assert count_parameters(plain) == PARAMETERS["resnet20"]
    assert not any(isinstance(layer, layers.Add) for layer in plain.layers)


def test_what_the_alexnet_paper_compares():
    options = {"input_shape": (28, 28, 1), "width": 0.25, "batch_norm": False}
    model = architectures.build(
        "alexnet_small",
        response_norm=True,
        activation="tanh",
        overlapping=False,
        **options,
    )
    names = [layer.name for layer in model.layers]
    first = ["conv1", "tanh1", "norm1", "pool1", "conv2", "tanh2", "norm2", "pool2"]
    assert names[1:9] == first and "relu6" not in names
    sides = [model.get_layer(f"pool{i}").output.shape[1] for i in (1, 2, 5)]
    assert sides == [14, 7, 3]
    assert model.get_layer("pool1").pool_size == (2, 2)


def resnet_weights(widths, blocks):
    """Of a CIFAR ResNet with shortcuts A: 3x3 kernels, batch norms, ten classes."""
    first, *_, last = widths
    count, ins = 27 * first + 2 * first, first
    for width in widths:
        count += 9 * width * (ins + (2 * blocks - 1) * width) + 4 * blocks * width
        ins = width
    return count + 10 * last + 10


@pytest.mark.parametrize(
    ("width", "channels"), [(0.5, (8, 16, 32)), (0.3, (8, 8, 16)), (2, (32, 64, 128))]
)
def test_a_width_multiplies_every_layers_channels(width, channels):
    """Rounded to eights: 16, 32, 64 times 0.3 are 4.8, 9.6, 19.2."""
    assert resnet_weights((16, 32, 64), blocks=9) == PARAMETERS["resnet56"]
    model = architectures.build("resnet20", width=width)
    assert count_parameters(model) == resnet_weights(channels, blocks=3)


def test_half_a_vgg_and_an_eighth_of_a_googlenet():
    half = architectures.build("vgg11_cifar", width=0.5)
    widths = [half.get_layer(f"conv{s}_1").filters for s in range(1, 6)]
    assert widths == [32, 64, 128, 256, 256]
    eighth = architectures.build("googlenet_cifar", width=0.125)
    names = ("1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5", "pool_proj")
    units = [eighth.get_layer(f"inception_4b_{name}") for name in names]
    # Table 1: 160, 112, 224, 24, 64, 64; an eighth, in eights (20: of two the even
    # multiple) and at least 8.
    assert [unit.filters for unit in units] == [16, 16, 32, 8, 8, 8]
    assert eighth.get_layer("conv1").filters == 24


def test_a_small_zfnet_normalises_batches_or_responses():
    batches = architectures.build("zfnet_small", width=0.125)
    responses = architectures.build("zfnet_small", width=0.125, batch_norm=False)
    names = [layer.name for layer in batches.layers]
    assert names[1:5] == ["conv1", "bn1", "relu1", "pool1"] and "norm1" not in names
    names = [layer.name for layer in responses.layers]
    assert names[1:5] == ["conv1", "relu1", "pool1", "norm1"] and "norm5" not in names
    assert "bn1" not in names


@pytest.mark.slow
@pytest.mark.parametrize("batch_norm", [True, False])
def test_a_small_zfnet_takes_the_same_step_compiled(batch_norm):
    """By XLA and without it, from the same weights."""
    after = []
    for jit_compile in (True, False):
        keras.utils.set_random_seed(0)
        model = architectures.build(
            "zfnet_small", width=0.125, batch_norm=batch_norm, dropout=0.0
        )
        before = model.get_layer("conv1").kernel.numpy()
        model.compile(
            keras.optimizers.SGD(0.1),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=jit_compile,
        )
        model.train_on_batch(images(model, 4), np.arange(4))
        after.append(model.get_layer("conv1").kernel.numpy() - before)
    assert abs(after[0]).max() > 1e-4
    np.testing.assert_allclose(*after, atol=1e-2 * abs(after[1]).max())


def test_separable_blocks_are_compact():
    standard = architectures.build("resnet20")
    separable = architectures.build("resnet20", convolution="separable")
    # 18 convolutions of 9 * in * out become 9 * in + in * out and one batch norm more.
    ins = [16] * 7 + [32] * 6 + [64] * 5
    outs = [16] * 6 + [32] * 6 + [64] * 6
    pairs = list(zip(ins, outs, strict=True))
    saved = sum(9 * i * o - (9 * i + i * o + 2 * i) for i, o in pairs)
    assert count_parameters(separable) == count_parameters(standard) - saved
    assert count_macs(separable) < count_macs(standard) / 6


@pytest.mark.parametrize("name", ["resnet20", "resnet50"])
def test_zero_init_makes_blocks_start_as_their_shortcuts(name):
    model = architectures.build(name, input_shape=(32, 32, 3), zero_init=True)
    after, before = "stage1_block2_out", "stage1_block1_out"
    view = keras.Model(
        model.input, [model.get_layer(layer).output for layer in (after, before)]
    )
    after, before = view(images(model, 1))
    np.testing.assert_array_equal(after, before)


@pytest.mark.slow
def test_heads_are_trained_with_weight_and_come_off():
    model = architectures.build(
        "googlenet_bn", input_shape=(64, 64, 3), classes=4, auxiliary=True
    )
    weights = head_weights()
    assert weights == {"logits": 1.0, "aux1_logits": 0.3, "aux2_logits": 0.3}
    assert model.output.keys() == weights.keys()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        loss=dict.fromkeys(weights, loss),
        loss_weights=weights,
        run_eagerly=True,  # one batch: tracing would take longer
    )
    batch, labels = images(model, 4), np.arange(4)
    result = model.evaluate(
        batch, dict.fromkeys(weights, labels), verbose=0, return_dict=True
    )
    parts = sum(w * result[f"{name}_loss"] for name, w in weights.items())
    assert result["loss"] == pytest.approx(parts, rel=1e-5)

    bare = without_heads(model)
    assert count_parameters(bare) == count_parameters(
        architectures.build("googlenet_bn", input_shape=(64, 64, 3), classes=4)
    )
    np.testing.assert_array_equal(logits_of(bare, batch), logits_of(model, batch))


def test_max_norm_bounds_each_hidden_unit():
    bounded = architectures.build("mlp", input_shape=(6,), widths=(8, 8), max_norm=0.5)
    keras.utils.set_random_seed(0)
    bounded.compile(
        keras.optimizers.SGD(1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    rng = np.random.default_rng(0)
    bounded.fit(rng.normal(size=(64, 6)), rng.integers(0, 10, 64), verbose=0)
    for name in ("fc1", "fc2"):
        kernel = keras.ops.convert_to_numpy(bounded.get_layer(name).kernel)
        norms = np.linalg.norm(kernel, axis=0)  # of the weights that enter a unit
        assert norms.max() == pytest.approx(0.5, abs=1e-5)
    logits = keras.ops.convert_to_numpy(bounded.get_layer("logits").kernel)
    assert np.linalg.norm(logits, axis=0).max() > 0.6  # the paper bounds hidden units


def test_channels_first_are_refused():
    """A net of 28 channels would be built of (28, 28, 1)."""
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match="nets are built with channels last"):
            architectures.build("lenet5")
    finally:
        keras.config.set_image_data_format("channels_last")
