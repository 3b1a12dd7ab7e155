"""Every net that has a form for small images, trained by one protocol on CIFAR-10.

    limbeck reproduce classic_nets --seeds 1    # two CPU cores
    limbeck reproduce classic_nets --full       # paper widths, all depths: for a GPU

One training for all: the same epochs, optimizer, rate, crops and flips. Nothing was
tuned to a net, and none gets what its own paper trained it with. In so few epochs no
net drops out units: with half of them dropped AlexNet has 31 % of validation right
after an epoch, without 53 %. In the long setting AlexNet, ZFNet and GoogLeNet do.

The forms for 32 px are the catalogue's: those of the LeNets are the papers', the others
have batch norm, which is younger than VGG and GoogLeNet. So the picture is of progress
in the shapes of nets, not in what their authors could reach at the time. For two CPU
cores the large ones are narrower (`width`), each by a factor of its own: what a net
costs stands beside what it gets right.
"""

from experiments.data.augment import Augment
from experiments.recipe import Recipe
from experiments.stages.base import Export
from experiments.stages.net import Net
from experiments.stages.train import Train
from experiments.training.settings import Training

LITERT = (Export("litert"),)
# The net of 1998, see `architectures.lenet`.
OF_1998 = {"activation": "tanh", "pooling": "average", "connections": "partial"}
SMALL = {
    "mlp": Net("mlp"),
    "lenet5_1998": Net("lenet5", OF_1998),
    "lenet5": Net("lenet5"),
    "lenet5_caffe": Net("lenet5_caffe"),
}
NARROW = {
    "alexnet_small": {"width": 0.25, "dropout": 0.0},
    "zfnet_small": {"width": 0.25, "dropout": 0.0},
    "vgg11_cifar": {"width": 0.25},
    "vgg16_cifar": {"width": 0.25},
    "googlenet_cifar": {"width": 0.125, "dropout": 0.0},
    "resnet20": {"width": 0.5},
    "resnet56": {"width": 0.5},
}
# Only where there is a GPU; in the order of the papers.
DEEPER = {
    "vgg11_cifar": ("vgg13_cifar",),
    "vgg16_cifar": ("vgg19_cifar",),
    "resnet20": ("resnet32", "resnet44"),
    "resnet56": ("resnet110",),
}


def _recipe(name: str, nets: dict[str, Net], epochs: int) -> Recipe:
    training = Training(
        epochs=epochs,
        batch_size=128,
        learning_rate=2e-3,
        weight_decay=0.01,
        warmup_epochs=0.5,
    )
    return Recipe(
        name=name,
        data="cifar10",
        augment=Augment(pad=4),
        stages=tuple(
            Train(stage, net, training, exports=LITERT) for stage, net in nets.items()
        ),
    )


RECIPE = _recipe(
    "classic_nets",
    SMALL | {name: Net(name, options) for name, options in NARROW.items()},
    epochs=6,
)
FULL = _recipe(
    "classic_nets_full",
    SMALL | {net: Net(net) for name in NARROW for net in (name, *DEEPER.get(name, ()))},
    epochs=100,
)
