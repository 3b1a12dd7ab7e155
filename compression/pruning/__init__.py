"""Pruning: weights, and later channels, that the net can do without."""

from compression.pruning.masks import magnitude_masks
from compression.pruning.prune import Prune
from compression.pruning.rewinding import find_ticket
from compression.pruning.rigl import RigL
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
from compression.pruning.dynamic_surgery import Surgery
from compression.pruning.wanda import Wanda

__all__ = [
    "ConstantSparsity",
    "Fisher",
    "Grasp",
    "Movement",
    "PolynomialDecay",
    "Prune",
    "Random",
    "RigL",
    "Snip",
    "Surgery",
    "Taylor",
    "Wanda",
    "find_ticket",
    "magnitude",
    "magnitude_masks",
]
