"""Nets lose channels until so many multiply-accumulates are left, and learn on.

    limbeck reproduce channels           # two CPU cores
    limbeck reproduce channels --full    # as long as papers train: for a GPU

The ResNets start from published weights, tuned to the JPEG images; VGG-16 with batch
norm is trained here. Each is cut to 1/2.1 and 1/2.55 of its MACs, as ResNet-56 is by
Fang et al., "DepGraph", 2023, https://arxiv.org/abs/2301.12900, table 1: the channels
that have the least of weights times what goes into them go first, of all groups. (Of
all saliencies and scopes this left ResNet-20 the best answers right after the cut, on
2,000 train images: 75 % are right, by the L2 norm 69 %.) The layers that read fewer
channels are fitted without labels, then the whole learns on: from labels, or taught by
the net that was cut. The same small net from new weights, trained as long, is the
baseline. ResNet-20 has all seeds, the others one. Rates and epochs were set once.
"""

from experiments.recipe import Recipe
from experiments.recipes.channels.cuts import CUTS, METHODS
from experiments.recipes.on_cifar10 import on_cifar10
from experiments.stages.base import Export
from experiments.stages.channels import Channels
from experiments.stages.net import Net
from experiments.stages.teaching import Teaching
from experiments.stages.train import Train
from experiments.training.settings import Training

LITERT = (Export("litert"),)


def _training(epochs: int, learning_rate: float, **options) -> Training:
    return Training(
        epochs=epochs,
        batch_size=128,
        optimizer="sgd",
        learning_rate=learning_rate,
        weight_decay=5e-4,
        warmup_epochs=min(1.0, epochs / 10),
        **options,
    )


def _cut(name: str, start: str, training: Training, method: str, macs: float, **rest):
    taught = {"teaching": Teaching(start, temperature=4.0, views=training.epochs)}
    own = {
        "tuned": {"recovery": "reconstruct"},
        "taught": {"recovery": "reconstruct"} | taught,
        "scratch": {"from_scratch": True},
    }
    how = {"macs": macs, "saliency": "wanda", "exports": LITERT}
    return Channels(name, start, training, **how, **own[method], **rest)


def _recipe(name: str, nets: dict[str, tuple[Net, Training, Training]]) -> Recipe:
    """Args: nets: name -> net, how it is trained, how its cut forms are."""
    stages = []
    for net, (start, before, after) in nets.items():
        once = net != "resnet20"
        stages.append(Train(net, start, before, exports=LITERT, once=True))
        stages += [
            _cut(f"{net}_{method}_{cut}", net, after, method, macs, once=once)
            for cut, macs in CUTS.items()
            for method in METHODS
        ]
    return on_cifar10(
        name,
        stages,
    )


def _published(net: str) -> Net:
    return Net(net, weights="published")


RECIPE = _recipe(
    "channels",
    {
        "resnet20": (_published("resnet20"), _training(2, 0.01), _training(2, 0.02)),
        "resnet56": (_published("resnet56"), _training(1, 0.01), _training(2, 0.02)),
        "vgg16": (
            Net("vgg16_cifar"),
            _training(4, 0.05, precision="measure"),
            _training(2, 0.02, precision="measure"),
        ),
    },
)
FULL = _recipe(
    "channels_full",
    {
        "resnet20": (_published("resnet20"), _training(20, 0.01), _training(100, 0.05)),
        "resnet56": (_published("resnet56"), _training(20, 0.01), _training(100, 0.05)),
        "vgg16": (Net("vgg16_cifar"), _training(160, 0.05), _training(100, 0.05)),
    },
)
