"""What experiments on CIFAR-10 share: images, their changes, what pixels become."""

from collections.abc import Iterable

from architectures.published_weights import MEAN, STD
from experiments.data.augment import Augment
from experiments.recipe import Recipe
from experiments.stages.base import Stage


def on_cifar10(name: str, stages: Iterable[Stage]) -> Recipe:
    """A recipe of these stages: images cut at random, pixels as published nets want."""
    return Recipe(
        name=name,
        data="cifar10",
        augment=Augment(pad=4),
        normalisation=(MEAN, STD),
        stages=tuple(stages),
    )
