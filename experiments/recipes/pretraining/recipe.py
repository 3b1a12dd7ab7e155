"""What a net can learn from images without labels, by the number of labels that follow.

    limbeck reproduce pretraining           # two CPU cores
    limbeck reproduce pretraining --full    # ResNet-20, more epochs: a GPU

The images of all ten classes, without their labels, set three tasks: rotations (Gidaris
2018), pairs of views (SimCLR, Chen 2020), drawing the image again (an autoencoder). A
fourth net learns five classes from labels. Each is learned once, and starts all seeds.
Then dogs, frogs, horses, ships and trucks are learned with 225, 2,250 and all 22,500
labels: the whole net is tuned, or a linear probe of frozen features is found. A seed
chooses which images are labelled, and all methods of that seed see the same ones. An
epoch takes as many steps with few labels as with all. Nothing was tuned: learning rates
and epochs were set once.
"""

import dataclasses

from architectures.published_weights import MEAN, STD
from experiments.data.augment import Augment
from experiments.recipe import Recipe
from experiments.recipes import few_labels
from experiments.stages.base import Export
from experiments.stages.net import Net
from experiments.stages.pretrain import Pretrain
from experiments.stages.probe import Probe
from experiments.stages.tasks import Autoencoder, Rotation, SimCLR
from experiments.stages.train import Train
from experiments.stages.transfer import Transfer
from experiments.training.settings import Training

LITERT = (Export("litert"),)
BUDGETS = (225, 2250, None)  # 1, 10 and 100 % of 22,500 train images
TRAINING = Training(epochs=4, batch_size=128, learning_rate=2e-3, weight_decay=0.01)
# SimCLR, section 3: without strong changes views have too much in common.
STRONG = Augment(random_resized_crop=True, colour_jitter=0.4)
TASKS = {"rotation": Rotation(), "simclr": SimCLR(), "autoencoder": Autoencoder()}
LABELLED = "supervised"


def _recipe(
    name: str, net: Net, epochs: dict[str, int], training: Training, batch_size: int
) -> Recipe:
    def longer(epochs):
        return dataclasses.replace(training, epochs=epochs)

    pretrained = [
        Pretrain(
            task,
            net,
            dataclasses.replace(longer(epochs[task]), batch_size=batch_size),
            task=TASKS[task],
            data="cifar10",
            augment=STRONG if task == "simclr" else None,
            once=True,
        )
        for task in TASKS
    ]
    pretrained.append(
        Train(
            LABELLED,
            net,
            longer(epochs[LABELLED]),
            data="cifar10[airplane,automobile,bird,cat,deer]",
            exports=(),
            once=True,
        )
    )

    def tuned(start):
        return lambda name, labels: Transfer(
            name, start, training, labels=labels, exports=LITERT
        )

    def probed(start):
        return lambda name, labels: Probe(name, start, labels=labels, exports=LITERT)

    starts = [stage.name for stage in pretrained]
    methods = {
        "scratch": lambda name, labels: Train(
            name, net, training, labels=labels, exports=LITERT
        ),
        **{f"{start}_tuned": tuned(start) for start in starts},
        **{f"{start}_probe": probed(start) for start in starts},
    }
    return Recipe(
        name=name,
        data="cifar10[dog,frog,horse,ship,truck]",
        augment=Augment(pad=4),
        normalisation=(MEAN, STD),
        stages=(*pretrained, *few_labels.stages(methods, BUDGETS)),
    )


RECIPE = _recipe(
    "pretraining",
    Net("alexnet_small", {"width": 0.125, "dropout": 0.1}),
    {"rotation": 8, "simclr": 16, "autoencoder": 8, LABELLED: 12},
    TRAINING,
    batch_size=128,
)
FULL = _recipe(
    "pretraining_full",
    Net("resnet20"),
    {"rotation": 100, "simclr": 500, "autoencoder": 100, LABELLED: 100},
    dataclasses.replace(TRAINING, epochs=50),
    batch_size=512,
)
