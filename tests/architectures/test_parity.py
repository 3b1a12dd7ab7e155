"""Our nets against PyTorch: the same weights, an independent forward pass.

The forward passes are written here with torch.nn.functional and nothing else, from
torchvision's and akamaster's state-dict names. Needs the extra `parity`.
"""

import os
from pathlib import Path

import keras
import numpy as np
import pytest

import architectures
from architectures.published_weights import load_state_dict

torch = pytest.importorskip("torch", reason="needs the extra `parity`")
F = torch.nn.functional

SHARED = Path(__file__).parents[2].parent / "shared"
WEIGHTS = SHARED / "weights"
RECORDS = Path(os.environ.get("TFDS_DATA_DIR", SHARED / "tensorflow_datasets"))


class Layout:
    """Collects a random state dict in the order that a net's description goes."""

    def __init__(self, seed=0):
        self.random = torch.Generator().manual_seed(seed)
        self.state = {}

    def normal(self, name, *shape, scale):
        self.state[name] = scale * torch.randn(shape, generator=self.random)

    def weighted(self, name, *shape, bias=True):
        fan_in = int(np.prod(shape[1:]))
        self.normal(f"{name}.weight", *shape, scale=(2 / fan_in) ** 0.5)
        if bias:
            self.normal(f"{name}.bias", shape[0], scale=0.1)

    def norm(self, name, width):
        for part in ("weight", "running_var"):  # 0.5 to 1.5
            self.state[f"{name}.{part}"] = 0.5 + torch.rand(
                width, generator=self.random
            )
        for part in ("bias", "running_mean"):
            self.normal(f"{name}.{part}", width, scale=0.1)
        self.state[f"{name}.num_batches_tracked"] = torch.tensor(1)


def norm(state, x, name, epsilon=1e-5):
    return F.batch_norm(
        x,
        state[f"{name}.running_mean"],
        state[f"{name}.running_var"],
        state[f"{name}.weight"],
        state[f"{name}.bias"],
        eps=epsilon,
    )


def conv(state, x, name, **options):
    bias = state.get(f"{name}.bias")
    return F.conv2d(x, state[f"{name}.weight"], bias, **options)


def linear(state, x, name):
    return F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])


ALEXNET = ((0, 3, 64, 11), (3, 64, 192, 5), (6, 192, 384, 3), (8, 384, 256, 3))
ALEXNET = (*ALEXNET, (10, 256, 256, 3))


def alexnet_layout():
    layout = Layout()
    for i, came, width, size in ALEXNET:
        layout.weighted(f"features.{i}", width, came, size, size)
    for i, came, width in ((1, 9216, 4096), (4, 4096, 4096), (6, 4096, 1000)):
        layout.weighted(f"classifier.{i}", width, came)
    return layout.state


def alexnet(state, x):
    x = F.relu(conv(state, x, "features.0", stride=4, padding=2))
    x = F.relu(conv(state, F.max_pool2d(x, 3, 2), "features.3", padding=2))
    x = F.relu(conv(state, F.max_pool2d(x, 3, 2), "features.6", padding=1))
    x = F.relu(conv(state, x, "features.8", padding=1))
    x = F.relu(conv(state, x, "features.10", padding=1))
    x = F.adaptive_avg_pool2d(F.max_pool2d(x, 3, 2), 6).flatten(1)
    x = F.relu(linear(state, x, "classifier.1"))
    x = F.relu(linear(state, x, "classifier.4"))
    return linear(state, x, "classifier.6")


VGG = {  # torchvision's configurations A and D
    11: "64 M 128 M 256 256 M 512 512 M 512 512 M",
    16: "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
}


def vgg_modules(depth, batch_norm):
    """(index, what) of the modules of `features` that have weights, or pool."""
    index = 0
    for word in VGG[depth].split():
        yield index, word
        index += 1 if word == "M" else 3 if batch_norm else 2


def vgg_layout(depth, batch_norm):
    layout, came = Layout(), 3
    for i, word in vgg_modules(depth, batch_norm):
        if word != "M":
            layout.weighted(f"features.{i}", int(word), came, 3, 3)
            came = int(word)
            if batch_norm:
                layout.norm(f"features.{i + 1}", came)
    for i, came, width in ((0, 25088, 4096), (3, 4096, 4096), (6, 4096, 1000)):
        layout.weighted(f"classifier.{i}", width, came)
    return layout.state


def vgg(state, x, depth, batch_norm):
    for i, word in vgg_modules(depth, batch_norm):
        if word == "M":
            x = F.max_pool2d(x, 2, 2)
            continue
        x = conv(state, x, f"features.{i}", padding=1)
        x = F.relu(norm(state, x, f"features.{i + 1}") if batch_norm else x)
    x = F.adaptive_avg_pool2d(x, 7).flatten(1)
    x = F.relu(linear(state, x, "classifier.0"))
    x = F.relu(linear(state, x, "classifier.3"))
    return linear(state, x, "classifier.6")


GOOGLENET = {  # came, 1x1, 3x3 reduce, 3x3, "5x5" reduce, "5x5", projection
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}


def googlenet_layout():
    layout = Layout()

    def basic(name, came, width, size):
        layout.weighted(f"{name}.conv", width, came, size, size, bias=False)
        layout.norm(f"{name}.bn", width)

    basic("conv1", 3, 64, 7)
    basic("conv2", 64, 64, 1)
    basic("conv3", 64, 192, 3)
    for module, (came, one, down3, three, down5, five, proj) in GOOGLENET.items():
        basic(f"inception{module}.branch1", came, one, 1)
        basic(f"inception{module}.branch2.0", came, down3, 1)
        basic(f"inception{module}.branch2.1", down3, three, 3)
        basic(f"inception{module}.branch3.0", came, down5, 1)
        basic(f"inception{module}.branch3.1", down5, five, 3)
        basic(f"inception{module}.branch4.1", came, proj, 1)
    for head, came in (("aux1", 512), ("aux2", 528)):
        basic(f"{head}.conv", came, 128, 1)
        layout.weighted(f"{head}.fc1", 1024, 2048)
        layout.weighted(f"{head}.fc2", 1000, 1024)
    layout.weighted("fc", 1000, 1024)
    return layout.state


def googlenet(state, x):
    def basic(x, name, **options):
        x = conv(state, x, f"{name}.conv", **options)
        return F.relu(norm(state, x, f"{name}.bn", epsilon=1e-3))

    def head(x, name):
        x = basic(F.adaptive_avg_pool2d(x, 4), f"{name}.conv").flatten(1)
        return linear(state, F.relu(linear(state, x, f"{name}.fc1")), f"{name}.fc2")

    heads = {}
    x = basic(x, "conv1", stride=2, padding=3)
    x = basic(F.max_pool2d(x, 3, 2, ceil_mode=True), "conv2")
    x = F.max_pool2d(basic(x, "conv3", padding=1), 3, 2, ceil_mode=True)
    for module in GOOGLENET:
        if module in ("4a", "5a"):
            x = F.max_pool2d(x, 3 if module == "4a" else 2, 2, ceil_mode=True)
        name = f"inception{module}.branch"
        branches = [
            basic(x, f"{name}1"),
            basic(basic(x, f"{name}2.0"), f"{name}2.1", padding=1),
            basic(basic(x, f"{name}3.0"), f"{name}3.1", padding=1),
            basic(F.max_pool2d(x, 3, 1, padding=1), f"{name}4.1"),
        ]
        x = torch.cat(branches, 1)
        if module in ("4a", "4d"):
            name = "aux1" if module == "4a" else "aux2"
            heads[f"{name}_logits"] = head(x, name)
    return {"logits": linear(state, x.mean((2, 3)), "fc"), **heads}


RESNET = {18: ((2, 2, 2, 2), 1), 50: ((3, 4, 6, 3), 4)}  # blocks, expansion


def resnet_layout(depth):
    plan, expansion = RESNET[depth]
    layout, came = Layout(), 64
    layout.weighted("conv1", 64, 3, 7, 7, bias=False)
    layout.norm("bn1", 64)
    for stage, blocks in enumerate(plan, start=1):
        thin = 32 << stage
        wide = thin * expansion
        for i in range(blocks):
            name = f"layer{stage}.{i}"
            plain = [(thin, came, 3), (thin, thin, 3)]
            bottleneck = [(thin, came, 1), (thin, thin, 3), (wide, thin, 1)]
            parts = plain if expansion == 1 else bottleneck
            for number, (width, before, size) in enumerate(parts, start=1):
                convolution = f"{name}.conv{number}"
                layout.weighted(convolution, width, before, size, size, bias=False)
                layout.norm(f"{name}.bn{number}", width)
            if i == 0 and came != wide:
                layout.weighted(f"{name}.downsample.0", wide, came, 1, 1, bias=False)
                layout.norm(f"{name}.downsample.1", wide)
            came = wide
    layout.weighted("fc", 1000, came)
    return layout.state


def resnet(state, x, depth):
    plan, expansion = RESNET[depth]
    x = F.relu(norm(state, conv(state, x, "conv1", stride=2, padding=3), "bn1"))
    x = F.max_pool2d(x, 3, 2, padding=1)
    for stage, blocks in enumerate(plan, start=1):
        for i in range(blocks):
            name = f"layer{stage}.{i}"
            stride = 2 if stage > 1 and i == 0 else 1
            paddings = (1, 1) if expansion == 1 else (0, 1, 0)
            halves = 1 if expansion == 1 else 2  # which convolution has the stride
            y = x
            for number, padding in enumerate(paddings, start=1):
                step = stride if number == halves else 1
                y = conv(state, y, f"{name}.conv{number}", stride=step, padding=padding)
                y = norm(state, y, f"{name}.bn{number}")
                y = F.relu(y) if number < len(paddings) else y
            if f"{name}.downsample.0.weight" in state:
                x = conv(state, x, f"{name}.downsample.0", stride=stride)
                x = norm(state, x, f"{name}.downsample.1")
            x = F.relu(x + y)
    return linear(state, x.mean((2, 3)), "fc")


def resnet_cifar(state, x, depth):
    x = F.relu(norm(state, conv(state, x, "conv1", padding=1), "bn1"))
    for stage in (1, 2, 3):
        for i in range((depth - 2) // 6):
            name = f"layer{stage}.{i}"
            stride = 2 if stage > 1 and i == 0 else 1
            y = conv(state, x, f"{name}.conv1", stride=stride, padding=1)
            y = F.relu(norm(state, y, f"{name}.bn1"))
            y = norm(state, conv(state, y, f"{name}.conv2", padding=1), f"{name}.bn2")
            if stride == 2:
                quarter = y.shape[1] // 4
                x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, quarter, quarter))
            x = F.relu(x + y)
    return linear(state, x.mean((2, 3)), "linear")


def difference(model, forward, state, side, number=2):
    """Largest difference over the largest logit, for each output."""
    images = torch.randn(
        (number, 3, side, side), generator=torch.Generator().manual_seed(1)
    )
    with torch.no_grad():
        expected = forward(state, images)
    actual = model(images.numpy().transpose(0, 2, 3, 1), training=False)
    if not isinstance(expected, dict):
        expected, actual = {"logits": expected}, {"logits": actual}
    assert expected.keys() == actual.keys()
    return {
        name: float(
            np.abs(keras.ops.convert_to_numpy(actual[name]) - logits.numpy()).max()
            / logits.abs().max()
        )
        for name, logits in expected.items()
    }


CASES = {
    "alexnet_owt": (alexnet_layout, alexnet, 61_100_840),
    "vgg11": (
        lambda: vgg_layout(11, False),
        lambda state, x: vgg(state, x, 11, False),
        132_863_336,
    ),
    "vgg11_bn": (
        lambda: vgg_layout(11, True),
        lambda state, x: vgg(state, x, 11, True),
        132_868_840,
    ),
    "vgg16_bn": (
        lambda: vgg_layout(16, True),
        lambda state, x: vgg(state, x, 16, True),
        138_365_992,
    ),
    "googlenet_bn": (googlenet_layout, googlenet, 13_004_888),  # 6,624,904 and heads
    "resnet18": (
        lambda: resnet_layout(18),
        lambda state, x: resnet(state, x, 18),
        11_689_512,
    ),
    "resnet50": (
        lambda: resnet_layout(50),
        lambda state, x: resnet(state, x, 50),
        25_557_032,
    ),
}


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("alexnet_owt", 239),  # the last map stays 6x6
        ("googlenet_bn", 193),
        ("resnet18", 197),
        ("resnet50", 197),
        *(
            pytest.param(name, side, marks=pytest.mark.slow)
            for name, side in (
                ("alexnet_owt", 224),
                ("vgg11", 224),
                ("vgg11", 239),  # 7x7
                ("vgg11_bn", 239),
                ("vgg16_bn", 224),
                ("googlenet_bn", 224),
                ("resnet18", 224),
                ("resnet50", 224),
            )
        ),
    ],
)
def test_agrees_with_pytorch(name, side):
    layout, forward, parameters = CASES[name]
    state = layout()
    trained = [array for n, array in state.items() if "running" not in n]
    trained = [array for array in trained if array.ndim]  # no counters
    assert sum(array.numel() for array in trained) == parameters
    heads = {"auxiliary": True} if name == "googlenet_bn" else {}
    model = architectures.build(name, input_shape=(side, side, 3), **heads)
    load_state_dict(model, {n: array.numpy() for n, array in state.items()})
    for output, off in difference(model, forward, state, side).items():
        print(f"{name} at {side} px, {output}: {off:.1e}")
        assert off < 1e-4


def cifar_weights(depth):
    path = WEIGHTS / f"cifar10_resnet{depth}.safetensors"
    if not path.exists():
        pytest.skip(f"{path.name} is not in the folder shared/weights beside the tree")
    return path


@pytest.mark.parametrize("depth", [20, 32, 44, 56])
def test_published_cifar_weights_agree_with_pytorch(depth):
    from safetensors.torch import load_file

    path = cifar_weights(depth)
    model = architectures.build(f"resnet{depth}")
    architectures.load_published_weights(model, path)
    state = load_file(path)
    off = difference(model, lambda s, x: resnet_cifar(s, x, depth), state, 32, 16)
    print(f"resnet{depth}, published weights: {off['logits']:.1e}")
    assert off["logits"] < 1e-4


# Top-1 that PyTorch reaches with these weights on the same 10,000 files, decoded by
# TensorFlow; they are lossy, the published figures are for the original pixels.
REFERENCE = {20: 81.18, 32: 82.34, 44: 82.52, 56: 83.11}
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet


@pytest.mark.slow
@pytest.mark.parametrize("depth", REFERENCE)
def test_published_cifar_weights_reach_the_reference(depth):
    tfds = pytest.importorskip("tensorflow_datasets")
    path = cifar_weights(depth)
    if not (RECORDS / "cifar10").exists():
        pytest.skip("CIFAR-10 is not in TFDS_DATA_DIR")
    images, labels = tfds.as_numpy(
        tfds.load(
            "cifar10",
            split="test",
            data_dir=RECORDS,
            batch_size=-1,
            as_supervised=True,
            download=False,
        )
    )
    model = architectures.build(f"resnet{depth}")
    architectures.load_published_weights(model, path)
    pixels = (images.astype("float32") / 255 - np.float32(MEAN)) / np.float32(DEVIATION)
    logits = model.predict(pixels, batch_size=250, verbose=0)
    top1 = 100 * float((logits.argmax(-1) == labels).mean())
    print(f"resnet{depth}: top-1 {top1:.2f} on {len(labels)} images")
    assert len(labels) == 10_000
    assert top1 == pytest.approx(REFERENCE[depth], abs=0.02)
