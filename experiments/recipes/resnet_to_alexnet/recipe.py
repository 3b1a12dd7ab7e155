"""A ResNet-56 teaches AlexNet-style students of several widths, on CIFAR-10 as JPEG.

    limbeck reproduce resnet_to_alexnet           # two CPU cores, some four hours
    limbeck reproduce resnet_to_alexnet --full    # 200 epochs: for a GPU

What is compared stands in `protocol.py`. The teacher has published weights, tuned on
the JPEG images; students with a teacher see four fixed views of each image in turn. The
losses beside soft targets are the two that were best in `distill_methods`.
"""

from dataclasses import replace

from experiments.recipe import Recipe
from experiments.recipes.distill_methods.recipe import METHODS, TEACHER, TRAINING
from experiments.recipes.on_cifar10 import on_cifar10
from experiments.recipes.resnet_to_alexnet.protocol import (
    Lengths,
    Protocol,
    stages,
)
from experiments.stages.net import Net
from experiments.stages.teaching import Teaching

SOFT = Teaching("teacher", temperature=4.0, views=4, view_seed=0)
BEST = ("review", "hints")
ASSISTANT = replace(
    TEACHER, name="assistant", start=Net("resnet20", weights="published"), teaching=SOFT
)


def _taught(method: str) -> Teaching:
    label_weight, parts = METHODS[method]
    return replace(SOFT, soft_weight=0.0, label_weight=label_weight, parts=parts)


MIX = replace(
    SOFT, label_weight=0.1, parts={k: v for m in BEST for k, v in METHODS[m][1].items()}
)
PROTOCOL = Protocol(
    teacher=TEACHER,
    assistant=ASSISTANT,
    widths=(2, 4, 8, 16),
    middle=8,
    once=(2, 4),
    training=TRAINING,
    lengths=Lengths(student=8, compressed=4, step=3, trial=3),
    teaching=SOFT,
    methods={name: _taught(name) for name in BEST},
    mix=MIX,
    macs=0.275,
)


def _recipe(name: str, protocol: Protocol) -> Recipe:
    return on_cifar10(
        name,
        stages(protocol),
    )


RECIPE = _recipe("resnet_to_alexnet", PROTOCOL)
FULL = _recipe(
    "resnet_to_alexnet_full",
    replace(
        PROTOCOL,
        once=(),
        lengths=Lengths(student=200, compressed=60, step=40, trial=20),
        teaching=replace(SOFT, views=None),
        methods={
            name: replace(each, views=None) for name, each in PROTOCOL.methods.items()
        },
        mix=replace(MIX, views=None),
    ),
)
