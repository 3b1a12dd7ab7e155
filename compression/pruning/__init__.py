"""Pruning: weights and channels that the net can do without."""

from compression.pruning.channels.exported import latency_left
from compression.pruning.channels.penalties import GroupLasso, GrowingL2, Slimming
from compression.pruning.channels.plan import ChannelPlan, load_plan
from compression.pruning.channels.planning import channel_groups, plan_channels
from compression.pruning.channels.recovery import reconstruct, reestimate_batch_norm
from compression.pruning.channels.sparse import SparseChannels
from compression.pruning.channels.surgery import remove_channels
from compression.pruning.dynamic_surgery import DynamicSurgery
from compression.pruning.kept_zeros import KeepZeros
from compression.pruning.l0 import l0_gates
from compression.pruning.learnt_sparsity import LearntSparsity, plain_net
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
from compression.pruning.variational_dropout import variational_dropout
from compression.pruning.wanda import Wanda

__all__ = [
    "ChannelPlan",
    "ConstantSparsity",
    "DynamicSurgery",
    "Fisher",
    "Grasp",
    "GroupLasso",
    "GrowingL2",
    "KeepZeros",
    "LearntSparsity",
    "Movement",
    "PolynomialDecay",
    "Prune",
    "Random",
    "RigL",
    "Slimming",
    "Snip",
    "SparseChannels",
    "Taylor",
    "Wanda",
    "channel_groups",
    "find_ticket",
    "l0_gates",
    "latency_left",
    "load_plan",
    "magnitude",
    "magnitude_masks",
    "plain_net",
    "plan_channels",
    "reconstruct",
    "reestimate_batch_norm",
    "remove_channels",
    "variational_dropout",
]
