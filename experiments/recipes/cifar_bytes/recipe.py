"""Three CIFAR-10 nets in how few bytes: zipped, in integers, pruned, as archives.

    limbeck reproduce cifar_bytes           # two CPU cores
    limbeck reproduce cifar_bytes --full    # as long as papers train: for a GPU

ResNet-20 starts from published weights, tuned to the JPEG images; the small AlexNet and
VGG-16 with batch norm are trained here. Each is written in float32 and in int8 after
training; then its weights become whole multiples of a step, as coarse as validation
allows with no loss and with a point of loss, and are entropy-coded: `rounded_0` and
`rounded_10`, of the dense net and of one in which most weights were pruned. Rounding
is tried on 2,000 validation images. Sparsity, rates and epochs were set once.
"""

from dataclasses import dataclass
from typing import Any

from architectures.published_weights import MEAN, STD
from experiments.data.augment import Augment
from experiments.recipe import Recipe
from experiments.stages.base import Export
from experiments.stages.net import Net
from experiments.stages.prune import Prune
from experiments.stages.quantize import Quantize
from experiments.stages.rate_distortion import RateDistortion
from experiments.stages.train import Train
from experiments.training.settings import Training

LITERT, INT8 = (Export("litert"),), (Export("litert", "int8"),)
DROPS = {"0": 0.0, "10": 1.0}  # points of validation accuracy


@dataclass(frozen=True)
class Plan:
    """What is done with one net.

    Attributes:
        start: the net.
        training: of the dense net.
        pruning: of the one that is pruned, from the dense one on.
        sparsity: fraction of the weights that are pruned.
    """

    start: Net
    training: Training
    pruning: Training
    sparsity: float


def _stages(net: str, plan: Plan, images: int | None) -> list:
    pruned, options = f"{net}_pruned", {"once": True}
    return [
        Train(net, plan.start, plan.training, exports=LITERT, **options),
        Quantize(f"{net}_int8", net, exports=INT8, **options),
        Prune(
            pruned,
            net,
            plan.pruning,
            sparsity=plan.sparsity,
            until=0.5,
            exports=LITERT,
            **options,
        ),
        *(
            RateDistortion(
                f"{source}_rounded_{name}",
                source,
                max_drop=drop,
                images=images,
                **options,
            )
            for source in (net, pruned)
            for name, drop in DROPS.items()
        ),
    ]


def _recipe(name: str, plans: dict[str, Plan], images: int | None = None) -> Recipe:
    stages = [
        stage for net, plan in plans.items() for stage in _stages(net, plan, images)
    ]
    return Recipe(
        name=name,
        data="cifar10",
        augment=Augment(pad=4),
        normalisation=(MEAN, STD),
        stages=tuple(stages),
    )


def _sgd(epochs: int, learning_rate: float) -> Training:
    settings: dict[str, Any] = {"optimizer": "sgd", "weight_decay": 5e-4}
    return Training(
        epochs,
        batch_size=128,
        learning_rate=learning_rate,
        warmup_epochs=0.2,
        **settings,
    )


def _adamw(epochs: int, learning_rate: float) -> Training:
    return Training(
        epochs,
        batch_size=128,
        learning_rate=learning_rate,
        weight_decay=0.01,
        warmup_epochs=0.2,
    )


def _plans(tuned: int, trained: int, pruned: int, width: float) -> dict[str, Plan]:
    """The three nets, with epochs of each kind."""
    published = Net("resnet20", weights="published")
    alexnet = Net("alexnet_small", {"width": width, "dropout": 0.0})
    vgg16 = Net("vgg16_cifar", {"width": width})
    new, again = _adamw(trained, 2e-3), _adamw(pruned, 1e-3)
    return {
        "resnet20": Plan(published, _sgd(tuned, 0.01), _sgd(pruned, 0.01), 0.7),
        "alexnet": Plan(alexnet, new, again, 0.9),
        "vgg16": Plan(vgg16, new, again, 0.9),
    }


RECIPE = _recipe("cifar_bytes", _plans(2, 6, 5, width=0.25), images=2000)
FULL = _recipe("cifar_bytes_full", _plans(20, 100, 60, width=1.0))
