"""What is left of a net after a cut, and the cut that leaves no more than a budget."""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

import keras
import numpy as np

from compression.arguments import require_number
from compression.graph import Source
from compression.measure.activations import numbers, peak
from compression.measure.macs import layer_calls
from compression.pruning.channels.exported import file_bytes, folded_norms
from compression.pruning.channels.groups import Coupling, Group
from compression.pruning.channels.surgery import cut
from compression.weights import KERNELS, learned_variables

NEAR = 0.03  # of the whole net's time: less is not worth another net to be timed


class Costs:
    """Counts what is left of a net after a cut, without making it.

    They are the counts that `measure.macs`, `measure.parameters` and
    `measure.peak_activations` find in the smaller net, and the bytes of its float32
    LiteRT file. A `stays` is an array of booleans by unit.
    """

    def __init__(self, model: keras.Model, coupling: Coupling):
        self._model, self._coupling = model, coupling
        self._parts = {id(part.layer) for part in coupling.parts.values()}
        self._axes = {}
        for _, axis in coupling.axes():
            self._axes.setdefault(id(axis.variable), []).append(axis)
        self._declared = [p for p in coupling.parts.values() if p.flow.smaller]
        own = {id(v) for p in self._declared for v in learned_variables(p.layer)}
        self._learned = [v for v in learned_variables(model) if id(v) not in own]

    def macs(self, stays: np.ndarray) -> int:
        return sum(self._macs_of(at, row, stays) for at, row in self._calls)

    def parameters(self, stays: np.ndarray) -> int:
        count = sum(self._size(variable, stays) for variable in self._learned)
        for part in self._declared:  # only the layer knows what it is made of
            layer = part.flow.smaller(self._coupling.keeper(stays))
            count += sum(math.prod(v.shape) for v in learned_variables(layer))
        return count

    def ram(self, stays: np.ndarray) -> int:
        """Activations that are held at once, numbers of one image."""
        graph, tensors = self._coupling.graph, self._coupling.tensors

        def size(source):
            channels = tensors[source]
            whole = numbers(graph, source)
            return whole // len(channels) * self._count(channels, stays)

        return peak(graph, size)

    def bytes(self, stays: np.ndarray) -> int:
        """Of the LiteRT file: four for each weight in it, and what is not weights.

        The latter is read off the file of the whole net, which is exported once. It
        changes a little with a cut, so what is found is checked by `check_bytes`.
        """
        if stays.all():
            return self._whole_bytes
        return self._not_weights + 4 * self._weights_in_file(stays)

    def check_bytes(self, stays: np.ndarray) -> int:
        """Those of the file after a cut, which is made: further counts go by it."""
        found = file_bytes(cut(self._model, self._coupling, stays))
        self._not_weights = found - 4 * self._weights_in_file(stays)
        return found

    @cached_property
    def _calls(self):
        rows = enumerate(layer_calls(self._model))
        return [(at, row) for at, row in rows if row.macs]

    @cached_property
    def _whole_bytes(self):
        return file_bytes(self._model)

    @cached_property
    def _not_weights(self):
        everything = np.ones(len(self._coupling.roots), bool)
        return self._whole_bytes - 4 * self._weights_in_file(everything)

    def _weights_in_file(self, stays):
        """A folded batch norm is a bias of the layer before it, one number a channel;
        one that is not is two: what it multiplies by and what it adds."""
        count = self.parameters(stays)
        folded = folded_norms(self._coupling.graph)
        for part in self._coupling.parts.values():
            if not isinstance(part.layer, keras.layers.BatchNormalization):
                continue
            channels = self._count(part.inputs, stays)
            learned = len(learned_variables(part.layer))
            if (call := folded.get(id(part.layer))) is None:
                count += (2 - learned) * channels
            else:
                has_bias = call.operation.bias is not None
                count += (0 if has_bias else 1) * channels - learned * channels
        return count

    def _macs_of(self, at, row, stays):
        if hasattr(row.layer, "count_macs"):  # with weights or without
            graph, tensors = self._coupling.graph, self._coupling.tensors
            channels = self._count(tensors[graph.calls[at].sources[0]], stays)
            outputs = self._count(tensors[Source(at)], stays)
            return int(
                row.layer.count_macs(
                    (*row.input_shape[:-1], channels), (*row.output_shape[:-1], outputs)
                )
            )
        if id(row.layer) not in self._parts:
            return row.macs
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
        require_number("min_channels", self.min_channels, whole=True)
        require_number("round_to", self.round_to, whole=True)
        require_number("floor", self.floor)
        if self.min_channels < 1:
            raise ValueError(f"min_channels must be 1 or more, got {self.min_channels}")
        if self.round_to < 1:
            raise ValueError(f"round_to must be 1 or more, got {self.round_to}")
        if not 0 <= self.floor <= 1:
            raise ValueError(f"floor must be in [0, 1], got {self.floor}")

    def next_stay(self, size: int, stay: int) -> int:
        """How many units of a group may stay that are more than `stay`."""
        return min(size, (stay // self.round_to + 1) * self.round_to)

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
        classes: of each group: units of one class compete by their scores, and of
            each class the same fraction goes.
        limits: what stays in each group.
        size: how many units the net has.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        scores: np.ndarray,
        classes: Sequence[Hashable],
        limits: Limits,
        size: int,
    ):
        self._limits, self._size = limits, size
        self._sorted = [
            group.units[np.argsort(scores[group.units], kind="stable")]
            for group in groups
        ]
        lengths = [len(units) for units in self._sorted]
        of_group = np.repeat(np.arange(len(lengths)), lengths)
        found = np.concatenate([scores[units] for units in self._sorted])
        fractions = np.empty(len(of_group))  # of its class that goes with a unit
        for one in dict.fromkeys(classes):
            alike = np.array([each == one for each in classes])
            members = np.flatnonzero(alike[of_group])
            members = members[np.argsort(found[members], kind="stable")]
            fractions[members] = (np.arange(len(members)) + 1) / len(members)
        self._order = of_group[np.argsort(fractions, kind="stable")]

    def __len__(self):
        return len(self._order)

    def cut(self, number: int) -> np.ndarray:
        """Which units stay when the first `number` in the order should go."""
        stays = np.ones(self._size, bool)
        wanted = np.bincount(self._order[:number], minlength=len(self._sorted))
        for units, count in zip(self._sorted, wanted.tolist(), strict=True):
            stays[units[: self._limits.removed(len(units), count)]] = False
        return stays

    def refilled(self, number: int, fits: Callable[[np.ndarray], bool]) -> np.ndarray:
        """A cut, less what may come back: the last in the order first, if it `fits`."""
        stays = self.cut(number)
        full = set()  # groups of which no more fits: less room is left later
        for group in reversed(self._order[:number].tolist()):
            if group in full:
                continue
            units = self._sorted[group]
            stay = np.count_nonzero(stays[units])
            if stay == len(units):
                continue
            new = stays.copy()
            new[units[len(units) - self._limits.next_stay(len(units), stay) :]] = True
            if fits(new):
                stays = new
            else:
                full.add(group)
        return stays


def filled(
    ranking: Ranking, number: int, costs: Costs, budgets: dict[str, float]
) -> np.ndarray:
    """Which units stay: those of a cut, and what the budgets still have room for.

    The last unit of a cut may take many with it, where channels are rounded: seven of
    a group have waited for it. Of other groups the units that went last come back, as
    many at a time as the rounding wants, while all budgets hold.

    Args:
        number: of the first cut within the budgets.
        budgets: as `within` takes them.
    """
    cut = ranking.cut(number)
    whole = ranking.cut(0)
    most = {
        name: share * getattr(costs, name)(whole) for name, share in budgets.items()
    }
    stays = ranking.refilled(
        number, lambda new: all(getattr(costs, n)(new) <= most[n] for n in most)
    )
    if "bytes" in most and costs.check_bytes(stays) > most["bytes"]:
        return cut  # counted, they were within it
    return stays


def within(ranking: Ranking, costs: Costs, budgets: dict[str, float]) -> int:
    """The number of the first cut of a ranking that leaves no more than all budgets.

    Args:
        budgets: fractions that shall be left of what `Costs` counts, by its name.

    Raises:
        ValueError: no cut does; the message says what the last one leaves.
    """
    everything = ranking.cut(0)
    whole = {name: getattr(costs, name)(everything) for name in budgets}

    def left(number):
        stays = ranking.cut(number)
        return {name: getattr(costs, name)(stays) / whole[name] for name in budgets}

    def fits(number):
        return all(share <= budgets[name] for name, share in left(number).items())

    if not fits(len(ranking)):
        raise unreachable(budgets, left(len(ranking)))

    def first_that_fits():
        low, high = 0, len(ranking)
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if fits(middle) else (middle + 1, high)
        return low

    number = first_that_fits()
    if "bytes" in budgets:
        while not (stays := ranking.cut(number)).all():
            if costs.check_bytes(stays) <= budgets["bytes"] * whole["bytes"]:
                break
            if not fits(len(ranking)):
                raise unreachable(budgets, left(len(ranking)))
            number = first_that_fits()
    return number


def within_latency(
    ranking: Ranking,
    first: int,
    latency: float,
    time_left: Callable[[np.ndarray], float],
    macs_left: Callable[[np.ndarray], float],
) -> int:
    """The number of a cut that leaves no more than that fraction of the time.

    Between a cut that is too slow and one that is fast enough the next one is that
    where the time would be right if it went with the multiply-accumulates, so that
    few are timed. Times are noisy and not quite monotone: what comes out is a cut
    that was found to be fast enough.

    Args:
        first: the least that other budgets allow.
        time_left: times a cut; the fraction of the whole net's time.
        macs_left: counts one, likewise.

    Raises:
        ValueError: the last cut takes longer; the message says how long.
    """
    timed = {}

    def time(number):
        stays = ranking.cut(number)
        key = stays.tobytes()  # cuts in a row may be one, where they are rounded
        if key not in timed:
            timed[key] = 1.0 if stays.all() else time_left(stays)
        return timed[key]

    def between(low, high):
        macs = [macs_left(ranking.cut(number)) for number in (low, high)]
        wanted = np.interp(latency, [time(high), time(low)], macs[::-1])
        margin = (high - low) // 8  # so that the interval shrinks for sure
        start, end = low + margin, high - margin
        while start < end:
            middle = (start + end) // 2
            enough = macs_left(ranking.cut(middle)) <= wanted
            start, end = (start, middle) if enough else (middle + 1, end)
        return start

    low, high = first, len(ranking)
    if (least := time(high)) > latency:
        raise unreachable({"latency": latency}, {"latency": least})
    if time(low) <= latency:
        return low
    while high - low > max(1, len(ranking) // 100) and time(high) < latency - NEAR:
        middle = between(low, high)
        low, high = (low, middle) if time(middle) <= latency else (middle, high)
    return high


def unreachable(asked: dict[str, float], least: dict[str, float]) -> ValueError:
    """What is raised where a budget is too small; `least` is left at the end."""
    return ValueError(
        f"{_words(asked)} cannot be reached: "
        + ", ".join(f"{name}={share:.4f}" for name, share in least.items())
        + " is left when everything goes that may (fewer limits or exempt layers, or "
        "a larger budget)"
    )


def _words(budgets):
    return ", ".join(f"{name}={left}" for name, left in budgets.items())
