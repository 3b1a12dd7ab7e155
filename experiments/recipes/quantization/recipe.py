"""Nets in few bits: without training, and with training that rounds as the file does.

    limbeck reproduce quantization           # two CPU cores
    limbeck reproduce quantization --full    # as long as papers train: for a GPU

The ResNets start from published weights, tuned to the JPEG images; the others are
trained here. Each float net is written in float32, in float16 and with dynamic ranges;
then in int8, its ranges by each way to calibrate, and with weights of 4 bits where
validation allows it; then it goes on training with the rounding of its int8 file,
weights in 8 bits or in 4 (steps learnt, Esser et al. 2020), on a third of the images:
a step with rounding takes four times as long. Which layers get 4 bits is tried on 1,000
validation images. ResNet-20 and MobileNetV2, whose depthwise kernels are the hard case
of Krishnamoorthi (2018, https://arxiv.org/abs/1806.08342), are also equalised and their
biases corrected (Nagel et al. 2019), and get weights of 4 bits rounded to the nearest
or as AdaRound learns it (Nagel et al. 2020). ResNet-20 and the small AlexNet have all
seeds, the others one. Rates, epochs and steps were set once.
"""

from experiments.recipe import Recipe
from experiments.recipes.on_cifar10 import on_cifar10
from experiments.recipes.quantization.forms import CALIBRATIONS, FILES
from experiments.stages.application import Application
from experiments.stages.base import Export
from experiments.stages.mixed_precision import MixedPrecision
from experiments.stages.net import Net
from experiments.stages.quantize import Quantize
from experiments.stages.quantize_aware import QuantizeAware
from experiments.stages.train import Train
from experiments.training.settings import Training

INT8 = (Export("litert", "int8"),)
AS_FLOAT = tuple(Export("litert", precision) for precision in FILES)
HARD = ("resnet20", "mobilenet")
ROUNDING_STEPS = 500  # of AdaRound, a layer
SEEDED = ("resnet20", "alexnet")  # the others are trained once, for all seeds


def _published(epochs: int) -> Training:
    """Published weights get used to the JPEG images."""
    return _sgd(epochs, 0.01)


def _sgd(epochs: int, learning_rate: float) -> Training:
    return Training(
        epochs=epochs,
        batch_size=128,
        optimizer="sgd",
        learning_rate=learning_rate,
        weight_decay=5e-4,
        warmup_epochs=min(1.0, epochs / 10),
    )


def _new(epochs: int) -> Training:
    return Training(
        epochs=epochs,
        batch_size=128,
        learning_rate=2e-3,
        weight_decay=0.01,
        warmup_epochs=0.5,
    )


def _forms(  # noqa: PLR0913, what the two lengths differ in
    net: str, start, training: Training, aware: Training, share: float | None, tried
) -> list:
    once = net not in SEEDED
    options = {"exports": INT8, "once": once}
    return [
        Train(net, start, training, exports=AS_FLOAT, once=once),
        *(
            Quantize(f"{net}_{method}", net, method=method, **options)
            for method in CALIBRATIONS
        ),
        *(_corrected(net, options) if net in HARD else ()),
        MixedPrecision(f"{net}_mixed", net, max_drop=0.5, images=tried, **options),
        QuantizeAware(f"{net}_qat8", net, aware, labels=share, **options),
        QuantizeAware(
            f"{net}_qat4", net, aware, bits=4, method="lsq", labels=share, **options
        ),
    ]


def _corrected(net: str, options) -> list:
    return [
        Quantize(f"{net}_equalised", net, equalise=True, correct_bias=True, **options),
        Quantize(f"{net}_four", net, bits=4, **options),
        Quantize(f"{net}_adaround", net, bits=4, adaround=ROUNDING_STEPS, **options),
    ]


def _recipe(
    name: str,
    nets: dict[str, tuple],
    share: float | None = None,
    tried: int | None = None,
) -> Recipe:
    """The recipe of that name.

    Args:
        name: of it.
        nets: name -> net, how it is trained, how it goes on with rounding.
        share: of the train images that it then sees in an epoch; None: all.
        tried: validation images on which layers get 4 bits; None: all.
    """
    stages = [
        stage
        for net, settings in nets.items()
        for stage in _forms(net, *settings, share, tried)
    ]
    return on_cifar10(
        name,
        stages,
    )


def _net(name: str) -> Net:
    return Net(name, weights="published")


RECIPE = _recipe(
    "quantization",
    {
        "resnet20": (_net("resnet20"), _published(2), _sgd(1, 0.005)),
        "resnet56": (_net("resnet56"), _published(1), _sgd(1, 0.005)),
        "alexnet": (
            Net("alexnet_small", {"width": 0.25, "dropout": 0.0}),
            _new(6),
            _sgd(2, 0.005),
        ),
        "vgg16": (Net("vgg16_cifar", {"width": 0.25}), _new(6), _sgd(1, 0.005)),
        "googlenet": (
            Net("googlenet_cifar", {"width": 0.125, "dropout": 0.0}),
            _new(6),
            _sgd(1, 0.005),
        ),
        "mobilenet": (
            Application("MobileNetV2", {"alpha": 0.5}),
            _new(6),
            _sgd(1, 0.005),
        ),
    },
    share=1 / 3,
    tried=1000,
)
FULL = _recipe(
    "quantization_full",
    {
        "resnet20": (_net("resnet20"), _published(20), _sgd(20, 0.005)),
        "resnet56": (_net("resnet56"), _published(20), _sgd(20, 0.005)),
        "alexnet": (Net("alexnet_small"), _new(100), _sgd(20, 0.005)),
        "vgg16": (Net("vgg16_cifar"), _new(100), _sgd(20, 0.005)),
        "googlenet": (Net("googlenet_cifar"), _new(100), _sgd(20, 0.005)),
        "mobilenet": (Application("MobileNetV2"), _new(100), _sgd(20, 0.005)),
    },
)
