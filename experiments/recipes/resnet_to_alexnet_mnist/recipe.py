"""A ResNet-20 teaches AlexNet-style students of several widths, on the whole MNIST.

    limbeck reproduce resnet_to_alexnet_mnist           # two CPU cores
    limbeck reproduce resnet_to_alexnet_mnist --full    # for a GPU

The protocol is that of `resnet_to_alexnet`, with smaller students: on digits the ones
there leave nothing to gain. All nets see jittered images; the assistant is a student of
four times the middle width.
"""

from dataclasses import replace

from experiments.data.augment import Augment
from experiments.recipe import Recipe
from experiments.recipes.resnet_to_alexnet.protocol import (
    LITERT,
    Lengths,
    Protocol,
    stages,
    student,
)
from experiments.recipes.resnet_to_alexnet.recipe import PROTOCOL as CIFAR
from experiments.recipes.resnet_to_alexnet.recipe import SOFT
from experiments.stages.distill import Distill
from experiments.stages.net import Net
from experiments.stages.train import Train
from experiments.training.settings import Training

TRAINING = Training(epochs=5, batch_size=128, learning_rate=3e-3, weight_decay=0.01)
ONCE = {"exports": LITERT, "once": True}
PROTOCOL = replace(
    CIFAR,
    teacher=Train("teacher", Net("resnet20"), replace(TRAINING, epochs=6), **ONCE),
    assistant=Distill("assistant", student(4), TRAINING, SOFT, **ONCE),
    widths=(8, 16, 32),
    middle=16,
    once=(),
    training=TRAINING,
    lengths=Lengths(student=5, compressed=3, step=2, trial=2),
    macs=0.471,
)


def _recipe(name: str, protocol: Protocol) -> Recipe:
    return Recipe(
        name=name, data="mnist", augment=Augment(pad=2), stages=stages(protocol)
    )


RECIPE = _recipe("resnet_to_alexnet_mnist", PROTOCOL)
FULL = _recipe(
    "resnet_to_alexnet_mnist_full",
    replace(PROTOCOL, lengths=Lengths(student=40, compressed=20, step=10, trial=5)),
)
