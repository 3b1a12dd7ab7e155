"""Pruning: weights, and later channels, that the net can do without."""

from compression.pruning.masks import magnitude_masks
from compression.pruning.prune import Prune
from compression.pruning.saliency import (
    Fisher,
    Grasp,
    Movement,
    Random,
    Snip,
    Taylor,
    magnitude,
)
from compression.pruning.schedules import ConstantSparsity, PolynomialDecay
from compression.pruning.wanda import Wanda

__all__ = [
    "ConstantSparsity",
    "Fisher",
    "Grasp",
    "Movement",
    "PolynomialDecay",
    "Prune",
    "Random",
    "Snip",
    "Taylor",
    "Wanda",
    "magnitude",
    "magnitude_masks",
]
