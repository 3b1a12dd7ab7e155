"""What five classes of CIFAR-10 are worth for the other five, by the number of labels.

    limbeck reproduce transfer_classes           # two CPU cores
    limbeck reproduce transfer_classes --full    # ResNet-20, more epochs: a GPU

One net learns airplanes, automobiles, birds, cats and deer; it starts all transfers of
all seeds to dogs, frogs, horses, ships and trucks. A seed chooses which images are
labelled, and all methods of that seed see the same ones. An epoch takes as many steps
with 50 labels as with all. Nothing was tuned: learning rate and epochs were set once,
the same for every method.
"""

import dataclasses

from architectures.published_weights import MEAN, STD
from experiments.data.augment import Augment
from experiments.recipe import Recipe
from experiments.recipes import few_labels
from experiments.stages.base import Export
from experiments.stages.net import Net
from experiments.stages.train import Train
from experiments.stages.transfer import Transfer
from experiments.training.settings import Training

LITERT = (Export("litert"),)
BUDGETS = (50, 225, 2250, None)  # 0.2, 1, 10 and 100 % of 22,500 train images
TRAINING = Training(epochs=5, batch_size=128, learning_rate=2e-3, weight_decay=0.01)


def _recipe(name: str, net: Net, first: Training, training: Training) -> Recipe:
    def transfer(**settings):
        return lambda name, labels: Transfer(
            name, "first", training, labels=labels, exports=LITERT, **settings
        )

    methods = {
        "scratch": lambda name, labels: Train(
            name, net, training, labels=labels, exports=LITERT
        ),
        "frozen": transfer(unfreeze="head"),
        "staged": transfer(unfreeze="staged"),
        "full": transfer(),
    }
    return Recipe(
        name=name,
        data="cifar10[dog,frog,horse,ship,truck]",
        augment=Augment(pad=4),
        normalisation=(MEAN, STD),
        stages=(
            Train(
                "first",
                net,
                first,
                data="cifar10[airplane,automobile,bird,cat,deer]",
                exports=(),
                once=True,
            ),
            *few_labels.stages(methods, BUDGETS),
        ),
    )


RECIPE = _recipe(
    "transfer_classes",
    Net("alexnet_small", {"width": 0.125, "dropout": 0.1}),
    dataclasses.replace(TRAINING, epochs=12),
    TRAINING,
)
FULL = _recipe(
    "transfer_classes_full",
    Net("resnet20"),
    dataclasses.replace(TRAINING, epochs=100),
    dataclasses.replace(TRAINING, epochs=50),
)
