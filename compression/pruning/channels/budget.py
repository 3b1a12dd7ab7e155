"""What is left of a net after a cut, and the cut that leaves no more than a budget."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from compression.measure.macs import layer_calls
from compression.pruning.channels.groups import Coupling, Group
from compression.weights import KERNELS, learned_variables


class Costs:
    """Counts a net's multiply-accumulates and parameters after a cut, without it.

    They are those that `measure.macs` and `measure.parameters` find in the smaller
    net. A `stays` is an array of booleans by unit.
    """

    def __init__(self, model: keras.Model, coupling: Coupling):
        self._coupling = coupling
        self._parts = {id(part.layer): part for part in coupling.parts.values()}
        self._axes = {}
        for _, axis in coupling.axes():
            self._axes.setdefault(id(axis.variable), []).append(axis)
        self._learned = learned_variables(model)
        self._declared = [p for p in coupling.parts.values() if p.flow.smaller]
        own = {id(v) for p in self._declared for v in learned_variables(p.layer)}
        self._learned = [v for v in self._learned if id(v) not in own]
        self._calls = [row for row in layer_calls(model) if row.macs]

    def macs(self, stays: np.ndarray) -> int:
        return sum(self._macs_of(row, stays) for row in self._calls)

    def parameters(self, stays: np.ndarray) -> int:
        count = sum(self._size(variable, stays) for variable in self._learned)
        for part in self._declared:  # only the layer knows what it is made of
            layer = part.flow.smaller(self._coupling.keeper(stays))
            count += sum(math.prod(v.shape) for v in learned_variables(layer))
        return count

    def _macs_of(self, row, stays):
        part = self._parts.get(id(row.layer))
        if part is None:
            return row.macs
        if hasattr(row.layer, "count_macs"):
            channels = self._count(part.inputs, stays)
            outputs = self._count(part.flow.output, stays)
            return row.layer.count_macs(
                (*part.input_shape[:-1], channels), (*row.output_shape[:-1], outputs)
            )
        kernels = [w for w in row.layer.weights if w.name in KERNELS]
        positions = row.macs // sum(math.prod(kernel.shape) for kernel in kernels)
        return positions * sum(self._size(kernel, stays) for kernel in kernels)

    def _size(self, variable, stays):
        shape = list(variable.shape)
        for axis in self._axes.get(id(variable), ()):
            shape[axis.axis] = self._count(axis.channels, stays)
        return math.prod(shape)

    def _count(self, channels, stays):
        return len(self._coupling.keeper(stays)(channels))


@dataclass(frozen=True)
class Limits:
    """How far a group may be cut.

    Attributes:
        min_channels: units that stay in each at least.
        floor: fraction of its units that stays at least.
        round_to: units that stay are a multiple of it, or all.
    """

    min_channels: int = 1
    floor: float = 0.0
    round_to: int = 1

    def __post_init__(self):
        if self.min_channels < 1:
            raise ValueError(f"min_channels must be 1 or more, got {self.min_channels}")
        if self.round_to < 1:
            raise ValueError(f"round_to must be 1 or more, got {self.round_to}")
        if not 0 <= self.floor <= 1:
            raise ValueError(f"floor must be in [0, 1], got {self.floor}")

    def removed(self, size: int, wanted: int) -> int:
        """How many units go of a group of `size` where `wanted` should."""
        least = max(self.min_channels, math.ceil(self.floor * size - 1e-9))
        stay = max(size - wanted, least)
        stay = -(-stay // self.round_to) * self.round_to
        return max(0, size - stay)


class Ranking:
    """Cuts in order: each removes what the one before did and the next unit.

    Args:
        groups: those whose units compete, all of them with a score.
        scores: by unit; the least goes first, of equal ones the first.
        scope: "global": units of all groups compete by their scores; "local": the
            same fraction goes of each group.
        limits: what stays in each group.
        size: how many units the net has.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        scores: np.ndarray,
        scope: str,
        limits: Limits,
        size: int,
    ):
        self._limits, self._size = limits, size
        self._sorted = [
            group.units[np.argsort(scores[group.units], kind="stable")]
            for group in groups
        ]
        keys = [
            scores[units]
            if scope == "global"
            else (np.arange(len(units)) + 1) / len(units)
            for units in self._sorted
        ]
        of_group = np.repeat(np.arange(len(keys)), [len(key) for key in keys])
        self._order = of_group[np.argsort(np.concatenate(keys), kind="stable")]

    def __len__(self):
        return len(self._order)

    def cut(self, number: int) -> np.ndarray:
        """Which units stay when the first `number` in the order should go."""
        stays = np.ones(self._size, bool)
        wanted = np.bincount(self._order[:number], minlength=len(self._sorted))
        for units, count in zip(self._sorted, wanted.tolist(), strict=True):
            stays[units[: self._limits.removed(len(units), count)]] = False
        return stays


def within(ranking: Ranking, costs: Costs, budgets: dict[str, float]) -> np.ndarray:
    """The first cut of a ranking that leaves no more than all budgets.

    Args:
        budgets: fractions that shall be left of "macs" and "parameters".

    Raises:
        ValueError: no cut does; the message says what the last one leaves.
    """
    everything = ranking.cut(0)
    whole = {name: getattr(costs, name)(everything) for name in budgets}

    def fits(number):
        stays = ranking.cut(number)
        return all(
            getattr(costs, name)(stays) <= left * whole[name]
            for name, left in budgets.items()
        )

    if not fits(len(ranking)):
        last = ranking.cut(len(ranking))
        least = ", ".join(
            f"{name}={getattr(costs, name)(last) / whole[name]:.4f}" for name in budgets
        )
        asked = ", ".join(f"{name}={left}" for name, left in budgets.items())
        raise ValueError(
            f"{asked} cannot be reached: {least} is left when everything goes that may "
            "(fewer limits or exempt layers, or a larger budget)"
        )
    low, high = 0, len(ranking)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle + 1, high)
    return ranking.cut(low)
