"""What shrinks channels while a net trains: how far each update goes.

Each is a step of its own after the optimizer's, with its learning rate: as decoupled
weight decay is, so that the loss and the optimizer's moments know nothing of it.

A penalty has three methods: `weights(coupling)`, the axes of weights that it shrinks;
`amounts(coupling)`, for every unit how much of it the unit is given; and
`shrink(weights, units, rate, step)`, one step, in `keras.ops`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from compression.arguments import require_number, shown
from compression.pruning.channels.groups import Coupling
from compression.pruning.channels.plan import ChannelPlan, units_of
from compression.pruning.channels.rules import ALONG, MADE, Axis

SMALLEST = 1e-12  # that is divided by


class Weight(NamedTuple):
    """A weight that lies along channels.

    Attributes:
        variable: of a layer.
        axis: of it, along which there are channels.
        units: of each channel, the number of its unit among those that may go; for
            others one more than the last.
    """

    variable: keras.Variable
    axis: int
    units: np.ndarray

    def along(self, by_unit):
        """Numbers by unit, shaped so that they meet the weight's channels."""
        shape = [1] * len(self.variable.shape)
        shape[self.axis] = len(self.units)
        return ops.reshape(ops.take(by_unit, self.units), shape)

    def squares(self):
        """For each channel the sum of the squared weights."""
        axis = self.axis % len(self.variable.shape)
        others = [i for i in range(len(self.variable.shape)) if i != axis]
        return ops.sum(ops.square(ops.convert_to_tensor(self.variable)), others)


class Units(NamedTuple):
    """The units that may go.

    Attributes:
        groups: number of the group of each.
        amounts: how much of the penalty each is given, see `amounts` of a penalty.
    """

    groups: np.ndarray
    amounts: np.ndarray


@dataclass(frozen=True)
class Slimming:
    """L1 on the scales of batch norm: many become zero.

    Liu et al., "Network slimming", 2017, section 3, https://arxiv.org/abs/1708.06519.
    The scales are soft-thresholded, where the paper follows a subgradient, so zeros
    are exact.

    Attributes:
        strength: of the penalty, for a scale of 1.
    """

    strength: float = 1e-4

    def __post_init__(self):
        _require_positive("strength", self.strength)

    def weights(self, coupling: Coupling) -> list[Axis]:
        return [
            axis
            for part, axis in coupling.axes(ALONG)
            if isinstance(part.layer, keras.layers.BatchNormalization)
            and axis.variable is part.layer.gamma
        ]

    def amounts(self, coupling: Coupling) -> np.ndarray:
        return np.ones(len(coupling.roots), "float32")

    def shrink(self, weights: Sequence[Weight], units: Units, rate, step) -> None:
        """gamma <- sign(gamma) max(|gamma| - rate * strength, 0)."""
        del step
        less_by_unit = ops.append(units.amounts * (rate * self.strength), 0.0)
        for weight in weights:
            value = ops.convert_to_tensor(weight.variable)
            less = weight.along(less_by_unit)
            weight.variable.assign(
                ops.sign(value) * ops.maximum(ops.abs(value) - less, 0.0)
            )


@dataclass(frozen=True)
class GroupLasso:
    """The norm of all weights of a unit, more of it for those that matter less.

    DepGraph's sparse training (Fang et al., "DepGraph: towards any structural
    pruning", 2023, section 3.3, https://arxiv.org/abs/2301.12900): the sum over units
    of 2^(exponent * (largest - I) / (largest - least)) * norm, with I the squared
    norm and both extremes those of its group. What makes, scales and reads a unit
    counts. Each weight becomes what the proximal step leaves, where the paper follows
    the gradient; one that two units share, in rows and columns, is shrunk for both.

    Attributes:
        strength: of the penalty, for the unit that matters most.
        exponent: 2^exponent times that for the one that matters least.
    """

    strength: float = 1e-3
    exponent: float = 4.0

    def __post_init__(self):
        _require_positive("strength", self.strength)

    def weights(self, coupling: Coupling) -> list[Axis]:
        return [axis for _, axis in coupling.axes()]

    def amounts(self, coupling: Coupling) -> np.ndarray:
        return np.ones(len(coupling.roots), "float32")

    def shrink(self, weights: Sequence[Weight], units: Units, rate, step) -> None:
        """w <- w * max(1 - rate * strength * 2^(...) / norm, 0)."""
        del step
        count, groups = len(units.groups), int(max(units.groups)) + 1
        squares = sum(
            ops.segment_sum(weight.squares(), weight.units, count + 1)
            for weight in weights
        )[:count]

        def largest(values):
            found = ops.segment_max(values, units.groups, groups)
            return ops.take(found, units.groups)

        most, least = largest(squares), -largest(-squares)
        span = ops.maximum(most - least, SMALLEST)
        lost = self.strength * 2.0 ** (self.exponent * (most - squares) / span)
        norms = ops.maximum(ops.sqrt(squares), SMALLEST)
        _multiply(weights, ops.maximum(1.0 - rate * lost / norms, 0.0))


@dataclass(frozen=True)
class GrowingL2:
    """L2 on the channels that will go, growing until hardly anything is left of them.

    Wang et al., "Neural pruning via growing regularization", 2021, section 3.2
    (GReg-1), https://arxiv.org/abs/2012.09243. What makes and what scales a channel is
    shrunk, batch norm's scale and shift with it, where the paper has the filters only:
    so nothing changes when the channel is removed.

    Attributes:
        plan: that will be carried out.
        increase: of the penalty, each time.
        every: so many steps.
        ceiling: where it stops growing.
    """

    plan: ChannelPlan
    increase: float = 1e-4
    every: int = 10
    ceiling: float = 1.0

    def __post_init__(self):
        if not isinstance(self.plan, ChannelPlan):
            raise ValueError(
                f"plan must be what plan_channels returns, got {shown(self.plan)}"
            )
        for name in ("increase", "every", "ceiling"):
            _require_positive(name, getattr(self, name))

    def weights(self, coupling: Coupling) -> list[Axis]:
        return [axis for _, axis in coupling.axes() if axis.role in (MADE, ALONG)]

    def amounts(self, coupling: Coupling) -> np.ndarray:
        return (~units_of(self.plan, coupling)).astype("float32")

    def shrink(self, weights: Sequence[Weight], units: Units, rate, step) -> None:
        """w <- w * (1 - rate * penalty), of those that will go."""
        times = ops.floor(ops.cast(step, "float32") / self.every)
        penalty = ops.minimum(times * self.increase, self.ceiling)
        less = units.amounts * (rate * penalty)
        _multiply(weights, ops.maximum(1.0 - less, 0.0))


def _multiply(weights, factors):
    """By the factor of each unit; units that never go have none."""
    factors = ops.append(factors, 1.0)
    for weight in weights:
        weight.variable.assign(weight.variable * weight.along(factors))


def _require_positive(name, value):
    require_number(name, value)
    if value <= 0:
        raise ValueError(f"{name} must be positive, got {value}")
