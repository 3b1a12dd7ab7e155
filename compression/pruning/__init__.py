"""Pruning: weights and channels that the net can do without."""

from compression.pruning.channels.plan import ChannelPlan, load_plan
from compression.pruning.channels.planning import (
    channel_groups,
    plan_channels,
    require_settings,
)
from compression.pruning.channels.recovery import reconstruct, reestimate_batch_norm
from compression.pruning.channels.surgery import remove_channels
from compression.pruning.masks import magnitude_masks
from compression.pruning.prune import Prune
from compression.pruning.schedules import ConstantSparsity, PolynomialDecay

__all__ = [
    "ChannelPlan",
    "ConstantSparsity",
    "PolynomialDecay",
    "Prune",
    "channel_groups",
    "load_plan",
    "magnitude_masks",
    "plan_channels",
    "reconstruct",
    "reestimate_batch_norm",
    "remove_channels",
    "require_settings",
]
