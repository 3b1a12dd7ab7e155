"""The catalogue: every net by name, with its paper and its published figures."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import keras

from architectures.alexnet import alexnet, alexnet_owt, alexnet_small
from architectures.googlenet import googlenet, googlenet_bn, googlenet_cifar
from architectures.lenet import lenet5, lenet5_caffe
from architectures.mlp import HINTON_STUDENT, HINTON_TEACHER, LENET_300_100, mlp
from architectures.options import checked_options, did_you_mean
from architectures.resnet import resnet, resnet_cifar
from architectures.vgg import vgg, vgg_cifar
from architectures.zfnet import zfnet, zfnet_residual, zfnet_small


@dataclass(frozen=True)
class Card:
    """What is known of a net.

    Attributes:
        paper: authors and title.
        year: of the paper.
        input_shape: (height, width, channels) that the paper uses.
        parameters: trainable weights for that input and the paper's classes.
        macs: multiply-accumulates of one image in convolutions and dense layers,
            biases left out.
        top1: published top-1 in percent, None where there is none.
        top5: published top-5 in percent, None where there is none.
        source: where top-1 and top-5 are published, and what is ours.
        weights: address of the published weights that `load_published_weights` can
            fetch, empty where there are none.
        classes: that these weights know, 0 where there are none.
    """

    paper: str
    year: int
    input_shape: tuple[int, int, int]
    parameters: int | None = None
    macs: int | None = None
    top1: float | None = None
    top5: float | None = None
    source: str = ""
    weights: str = ""
    classes: int = 0


LECUN = ("LeCun et al., Gradient-Based Learning Applied to Document Recognition", 1998)
HINTON = ("Hinton et al., Distilling the Knowledge in a Neural Network", 2015)
KRIZHEVSKY = ("Krizhevsky et al., ImageNet Classification with Deep CNNs", 2012)
ONE_TOWER = ("Krizhevsky, One weird trick for parallelizing CNNs", 2014)
ZEILER = ("Zeiler, Fergus, Visualizing and Understanding Convolutional Networks", 2013)
SIMONYAN = ("Simonyan, Zisserman, Very Deep Convolutional Networks", 2014)
SZEGEDY = ("Szegedy et al., Going Deeper with Convolutions", 2015)
HE = ("He et al., Deep Residual Learning for Image Recognition", 2015)

MNIST, CIFAR, IMAGENET = (28, 28, 1), (32, 32, 3), (224, 224, 3)
HAN_2015 = "top-1: table 1 of Han et al. (2015), https://arxiv.org/abs/1506.02626"
OURS = "not in the paper, see its docstring"


def _released(paper, parameters, macs, top1, top5, file):
    """The card of a net that torchvision publishes, with torchvision's figures."""
    return Card(
        *paper,
        IMAGENET,
        parameters,
        macs,
        top1,
        top5,
        source="top-1, top-5: torchvision's IMAGENET1K_V1 weights, one crop",
        weights=f"https://download.pytorch.org/models/{file}.pth",
        classes=1000,
    )


def _resnet_cifar(parameters, macs, top1, file):
    return Card(
        *HE,
        CIFAR,
        parameters,
        macs,
        top1,
        source="top-1: table 6 of the paper; parameters: shortcut A",
        weights="https://github.com/akamaster/pytorch_resnet_cifar10/raw/master/"
        f"pretrained_models/{file}.th",
        classes=10,
    )


VGG = partial(_released, SIMONYAN)
RESNET = partial(_released, HE)
SMALL_VGG = partial(Card, *SIMONYAN, CIFAR, source=OURS)

BUILDERS: dict[str, Callable[..., keras.Model]] = {
    "mlp": mlp,
    "lenet_300_100": partial(mlp, LENET_300_100, name="lenet_300_100"),
    "mlp_1200": partial(mlp, HINTON_TEACHER, name="mlp_1200"),
    "mlp_800": partial(mlp, HINTON_STUDENT, name="mlp_800"),
    "lenet5": lenet5,
    "lenet5_caffe": lenet5_caffe,
    "alexnet": alexnet,
    "alexnet_owt": alexnet_owt,
    "alexnet_small": alexnet_small,
    "zfnet": zfnet,
    "zfnet_small": zfnet_small,
    "zfnet_residual": zfnet_residual,
    **{f"vgg{n}": partial(vgg, n, name=f"vgg{n}") for n in (11, 13, 16, 19)},
    **{
        f"vgg{n}_bn": partial(vgg, n, batch_norm=True, name=f"vgg{n}_bn")
        for n in (11, 13, 16, 19)
    },
    **{
        f"vgg{n}_cifar": partial(vgg_cifar, n, name=f"vgg{n}_cifar")
        for n in (11, 13, 16, 19)
    },
    "googlenet": googlenet,
    "googlenet_bn": googlenet_bn,
    "googlenet_cifar": googlenet_cifar,
    **{
        f"resnet{n}": partial(resnet, n, name=f"resnet{n}")
        for n in (18, 34, 50, 101, 152)
    },
    **{
        f"resnet{n}": partial(resnet_cifar, n, name=f"resnet{n}")
        for n in (20, 32, 44, 56, 110)
    },
}

# Parameters, MACs, top-1, top-5, published weights or what the figures are.
CARDS: dict[str, Card] = {
    "mlp": Card(*LECUN, MNIST, 266_610, 266_200, source="any widths; here 300-100"),
    "lenet_300_100": Card(*LECUN, MNIST, 266_610, 266_200, 98.36, source=HAN_2015),
    "mlp_1200": Card(
        *HINTON,
        MNIST,
        2_395_210,
        2_392_800,
        99.33,
        source="top-1: section 3, 67 test errors with dropout and shifted digits",
    ),
    "mlp_800": Card(
        *HINTON,
        MNIST,
        1_276_810,
        1_275_200,
        98.54,
        source="top-1: section 3, 146 test errors alone; 74 when distilled",
    ),
    "lenet5": Card(
        *LECUN,
        MNIST,
        61_706,
        416_520,
        99.05,
        source="top-1: section III-B, the net of 1998 without distortions",
    ),
    "lenet5_caffe": Card(*LECUN, MNIST, 431_080, 2_293_000, 99.20, source=HAN_2015),
    "alexnet": Card(
        *KRIZHEVSKY,
        (227, 227, 3),
        60_965_224,
        724_406_816,
        59.3,
        81.8,
        source="top-1, top-5: table 2, one CNN, ten crops",
    ),
    "alexnet_owt": _released(
        ONE_TOWER, 61_100_840, 714_188_480, 56.522, 79.066, "alexnet-owt-7be5be79"
    ),
    "alexnet_small": Card(*KRIZHEVSKY, CIFAR, 5_872_586, 182_220_800, source=OURS),
    "zfnet": Card(
        *ZEILER,
        IMAGENET,
        62_357_608,
        1_168_032_896,
        61.6,
        83.5,
        source="top-1, top-5: table 2, one net as in figure 3, ten crops",
    ),
    "zfnet_small": Card(*ZEILER, CIFAR, 8_971_498, 363_374_592, source=OURS),
    "zfnet_residual": Card(*ZEILER, IMAGENET, 10_700_744, 648_376_864, source=OURS),
    "vgg11": VGG(132_863_336, 7_609_090_048, 69.020, 88.628, "vgg11-8a719046"),
    "vgg13": VGG(133_047_848, 11_308_466_176, 69.928, 89.246, "vgg13-19584684"),
    "vgg16": VGG(138_357_544, 15_470_264_320, 71.592, 90.382, "vgg16-397923af"),
    "vgg19": VGG(143_667_240, 19_632_062_464, 72.376, 90.876, "vgg19-dcbb9e9d"),
    "vgg11_bn": VGG(132_868_840, 7_609_090_048, 70.370, 89.810, "vgg11_bn-6002323d"),
    "vgg13_bn": VGG(133_053_736, 11_308_466_176, 71.586, 90.374, "vgg13_bn-abd245e5"),
    "vgg16_bn": VGG(138_365_992, 15_470_264_320, 73.360, 91.516, "vgg16_bn-6c64b313"),
    "vgg19_bn": VGG(143_678_248, 19_632_062_464, 74.218, 91.842, "vgg19_bn-c79401a0"),
    "vgg11_cifar": SMALL_VGG(9_231_114, 152_769_536),
    "vgg13_cifar": SMALL_VGG(9_416_010, 228_267_008),
    "vgg16_cifar": SMALL_VGG(14_728_266, 313_201_664),
    "vgg19_cifar": SMALL_VGG(20_040_522, 398_136_320),
    "googlenet": Card(
        *SZEGEDY,
        IMAGENET,
        6_998_552,
        1_582_671_872,
        top5=89.93,
        source="top-5: table 3, one model, one crop",
    ),
    "googlenet_bn": _released(
        SZEGEDY, 6_624_904, 1_498_376_192, 69.778, 89.530, "googlenet-1378be20"
    ),
    "googlenet_cifar": Card(*SZEGEDY, CIFAR, 5_490_986, 1_337_141_248, source=OURS),
    "resnet18": RESNET(11_689_512, 1_814_073_344, 69.758, 89.078, "resnet18-f37072fd"),
    "resnet34": RESNET(21_797_672, 3_663_761_408, 73.314, 91.420, "resnet34-b627a593"),
    "resnet50": RESNET(25_557_032, 4_089_184_256, 76.130, 92.862, "resnet50-0676ba61"),
    "resnet101": RESNET(
        44_549_160, 7_801_405_440, 77.374, 93.546, "resnet101-63fe2227"
    ),
    "resnet152": RESNET(
        60_192_808, 11_513_626_624, 78.312, 94.046, "resnet152-394f9c45"
    ),
    "resnet20": _resnet_cifar(269_722, 40_551_040, 91.25, "resnet20-12fca82f"),
    "resnet32": _resnet_cifar(464_154, 68_862_592, 92.49, "resnet32-d509ac18"),
    "resnet44": _resnet_cifar(658_586, 97_174_144, 92.83, "resnet44-014dd654"),
    "resnet56": _resnet_cifar(853_018, 125_485_696, 93.03, "resnet56-4bfd9763"),
    "resnet110": _resnet_cifar(1_727_962, 252_887_680, 93.57, "resnet110-1d1ed7c2"),
}


def names() -> list[str]:
    """The nets that `build` knows, in alphabetical order."""
    return sorted(BUILDERS)


def card(name: str) -> Card:
    """What is known of the net `name`.

    Raises:
        ValueError: there is no such net.
    """
    return _entry(CARDS, name)


def build(name: str, /, **options) -> keras.Model:
    """A new net with random weights, `image` in, `logits` out.

    Args:
        name: one of `names()`.
        **options: `input_shape`, `classes`, `name` (of the model) and whatever else the
            net's own function takes.

    Raises:
        ValueError: there is no such net, it has no such option, or cannot take the
            option's value; or Keras is set to channels first.
    """
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            "nets are built with channels last: call keras.config."
            'set_image_data_format("channels_last")'
        )
    function = _entry(BUILDERS, name)
    return function(**checked_options(name, function, options))


def _entry(table, name):
    if name not in table:
        raise ValueError(
            f"no net called {name!r}{did_you_mean(str(name), names())}; choose from "
            f"{', '.join(names())}"
        )
    return table[name]
