"""Pruning: weights, and later channels, that the net can do without."""

from compression.pruning.masks import magnitude_masks
from compression.pruning.prune import Prune
from compression.pruning.schedules import ConstantSparsity, PolynomialDecay

__all__ = ["ConstantSparsity", "PolynomialDecay", "Prune", "magnitude_masks"]
