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

from experiments.recipe import Recipe
from experiments.recipes.on_cifar10 import on_cifar10
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
    pruned = f"{net}_pruned"
    return [
        Train(net, plan.start, plan.training, exports=LITERT, once=True),
        Quantize(f"{net}_int8", net, exports=INT8, once=True),
        Prune(
            pruned,
            net,
            plan.pruning,
            sparsity=plan.sparsity,
            until=0.5,
            exports=LITERT,
            once=True,
        ),
        *(
            RateDistortion(
                f"{source}_rounded_{name}",
                source,
                max_drop=drop,
                images=images,
                once=True,
            )
            for source in (net, pruned)
            for name, drop in DROPS.items()
        ),
    ]


def _recipe(name: str, plans: dict[str, Plan], images: int | None = None) -> Recipe:
    stages = [
        stage for net, plan in plans.items() for stage in _stages(net, plan, images)
    ]
    return on_cifar10(
        name,
        stages,
    )


def _tuned(epochs: int) -> Training:
    """Published weights get used to the JPEG images, or to being pruned."""
    return Training(
        epochs,
        batch_size=128,
        optimizer="sgd",
        learning_rate=0.01,
        weight_decay=5e-4,
        warmup_epochs=0.2,
    )


def _new(epochs: int, learning_rate: float) -> Training:
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
    new, again = _new(trained, 2e-3), _new(pruned, 1e-3)
    return {
        "resnet20": Plan(published, _tuned(tuned), _tuned(pruned), 0.7),
        "alexnet": Plan(alexnet, new, again, 0.9),
        "vgg16": Plan(vgg16, new, again, 0.9),
    }


RECIPE = _recipe("cifar_bytes", _plans(2, 6, 5, width=0.25), images=2000)
FULL = _recipe("cifar_bytes_full", _plans(20, 100, 60, width=1.0))
