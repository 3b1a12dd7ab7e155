"""The parts of the classic nets and trainings, one changed at a time, on CIFAR-10.

    limbeck reproduce ablation           # two CPU cores
    limbeck reproduce ablation --full    # whole widths, many epochs: for a GPU

`base` is a narrow AlexNet for 32 px as plain as it can be: ReLU, overlapping pooling,
He's initialisation, no normalisation, no dropout; SGD with momentum and weight decay,
crops and flips. Every other stage differs from it in one thing, and `claims.py` says
which two are compared for which claim. Depth is a matter for nets with batch norm:
residual and plain nets of 20 and 56 layers, half as wide as the paper's, have a
training of their own.

All variants of a seed see the same images in the same order. Rates were set once, for
the base, and not for each variant: what needs another rate to shine does not get it,
save where momentum is taken away (see `no_momentum_fast`).
"""

import dataclasses

from experiments.data.augment import Augment
from experiments.recipe import Recipe
from experiments.stages.base import Export
from experiments.stages.net import Net
from experiments.stages.train import Train
from experiments.training.settings import Training

LITERT = (Export("litert"),)
CROP_AND_FLIP = Augment(pad=4, flip=True)
BASE = {"batch_norm": False, "dropout": 0.0}
# What differs from the base: options of the net, settings of the training, images.
NETS = {
    "tanh": {"activation": "tanh"},
    "dropout": {"dropout": 0.5},
    "response_norm": {"response_norm": True},
    "batch_norm": {"batch_norm": True},
    "plain_pooling": {"overlapping": False},
    "paper_initialisation": {"initialisation": "paper"},
}
TRAININGS = {
    "no_decay": {"weight_decay": 0.0},
    "no_momentum": {"momentum": 0.0},
    # Momentum of 0.9 makes steps ten times as long in the end: so does this. The
    # decay of a step is the rate times `weight_decay`, and stays the same.
    "no_momentum_fast": {"momentum": 0.0, "learning_rate": 10, "weight_decay": 0.1},
    "clipping": {"clip_norm": 1.0},
}
IMAGES = {
    "no_augmentation": {"pad": 0, "flip": False},
    "crop": {"flip": False},
    "flip": {"pad": 0},
    "pca": {"pca_shift": 0.1},
    "mixup": {"mixup": 1.0},
}
DEPTHS = (20, 56)
FACTORS = ("learning_rate", "weight_decay")  # given as multiples of the base's


def _recipe(name: str, small: tuple, deep: tuple) -> Recipe:
    """Each of `small` and `deep` is (width, training)."""
    width, training = small

    def net(changes):
        return Net("alexnet_small", {"width": width, **BASE, **changes})

    def trained(changes):
        scaled = {
            key: value * getattr(training, key) if key in FACTORS else value
            for key, value in changes.items()
        }
        return dataclasses.replace(training, **scaled)

    def images(changes):
        return dataclasses.replace(CROP_AND_FLIP, **changes)

    base = net({})
    stages = [
        Train("base", base, training, exports=LITERT),
        *(
            Train(stage, net(changes), training, exports=LITERT)
            for stage, changes in NETS.items()
        ),
        *(
            Train(stage, base, trained(changes), exports=LITERT)
            for stage, changes in TRAININGS.items()
        ),
        *(
            Train(stage, base, training, augment=images(changes), exports=LITERT)
            for stage, changes in IMAGES.items()
        ),
    ]
    width, training = deep
    for depth in DEPTHS:
        for kind, shortcut in (("plain", "none"), ("residual", "A")):
            options = {"width": width, "shortcut": shortcut}
            start = Net(f"resnet{depth}", options)
            stages.append(Train(f"{kind}{depth}", start, training, exports=LITERT))
    return Recipe(
        name=name, data="cifar10", augment=CROP_AND_FLIP, stages=tuple(stages)
    )


# Krizhevsky et al. (2012), section 5: momentum 0.9, decay 0.0005. There the decay is
# part of the gradient and momentum makes ten times as much of it; here it is not.
TRAINING = Training(
    epochs=6,
    batch_size=128,
    optimizer="sgd",
    learning_rate=0.02,
    momentum=0.9,
    weight_decay=5e-3,
    warmup_epochs=0.5,
)
# He et al. (2016), section 4.2: a rate of 0.1, decay 0.0001, likewise times ten.
DEEP = dataclasses.replace(TRAINING, epochs=2, learning_rate=0.1, weight_decay=1e-3)
RECIPE = _recipe("ablation", small=(0.125, TRAINING), deep=(0.5, DEEP))
FULL = _recipe(
    "ablation_full",
    small=(1.0, dataclasses.replace(TRAINING, epochs=60)),
    deep=(1.0, dataclasses.replace(DEEP, epochs=164, schedule="step")),
)
