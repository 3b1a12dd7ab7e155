"""The catalogue: every net by name, with its paper and its published figures."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import keras

from architectures.alexnet import alexnet_small
from architectures.resnet import resnet_cifar


@dataclass(frozen=True)
class Card:
    """What is known of a net.

    Attributes:
        paper: authors and title.
        year: of the paper.
        input_shape: (height, width, channels) that the paper uses.
        parameters: trainable weights for that input and the paper's classes.
        macs: multiply-accumulates of one image, None where nobody published them.
        top1: published top-1 in percent, None where there is none.
        source: where parameters, MACs and top-1 are published.
    """

    paper: str
    year: int
    input_shape: tuple[int, int, int]
    parameters: int | None = None
    macs: int | None = None
    top1: float | None = None
    source: str = ""


HE_2015 = "He et al., Deep Residual Learning for Image Recognition"
KRIZHEVSKY_2012 = "Krizhevsky et al., ImageNet Classification with Deep CNNs"

NETS: dict[str, tuple[Callable[..., keras.Model], Card]] = {
    "alexnet_small": (
        alexnet_small,
        Card(KRIZHEVSKY_2012, 2012, (32, 32, 3), source="ours: the plan, scaled"),
    ),
    "resnet20": (
        partial(resnet_cifar, 20, name="resnet20"),
        Card(
            HE_2015,
            2015,
            (32, 32, 3),
            parameters=269_722,
            top1=91.25,
            source="top-1: table 6 of the paper; parameters: option A, counted",
        ),
    ),
}


def names() -> list[str]:
    """The nets that `build` knows, in alphabetical order."""
    return sorted(NETS)


def card(name: str) -> Card:
    """What is known of the net `name`.

    Raises:
        ValueError: there is no such net.
    """
    return _entry(name)[1]


def build(name: str, **options) -> keras.Model:
    """A new net with random weights, `image` in, `logits` out.

    Args:
        name: one of `names()`.
        **options: `input_shape`, `classes` and whatever else the net's own function
            takes.

    Raises:
        ValueError: there is no such net, or it cannot take these options' values.
    """
    return _entry(name)[0](**options)


def _entry(name):
    if name not in NETS:
        raise ValueError(f"no net called {name!r}; choose from {', '.join(names())}")
    return NETS[name]
