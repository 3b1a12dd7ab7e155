"""Coupled groups: the channels of a net that are kept or removed together, and why."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import keras
import numpy as np

from compression.graph import Graph, Source, read
from compression.pruning.channels.rules import (
    ALONG,
    MADE,
    READ,
    Axis,
    Flow,
    Keep,
    Passage,
    flow,
)
from compression.pruning.channels.ties import Ties


@dataclass(frozen=True, eq=False)
class Part:
    """A layer that is another one where channels are removed.

    Attributes:
        path: its name behind those of the models around it.
        layer: of the model.
        inputs: numbers of the channels that go in.
        input_shape: of its first call.
        flow: what it does to them.
    """

    path: str
    layer: keras.Layer
    inputs: np.ndarray
    input_shape: tuple[int | None, ...]
    flow: Flow

    @property
    def made(self) -> np.ndarray | None:
        """Numbers of the channels that the layer makes, None where it makes none."""
        found = [axis.channels for axis in self.flow.axes if axis.role == MADE]
        return found[0] if found else None


@dataclass(frozen=True, eq=False)
class Group:
    """Units made by the same layers, any of which may go without the others.

    A unit is what is removed at once: one channel of each layer that is coupled, or
    several where the layer has groups.

    Attributes:
        units: the number of each (see `Coupling`).
        makers: layers that make these channels.
        followers: layers with a weight for each of them.
        readers: layers that they go into.
        ties: what ties the makers' channels together: sums, layers called twice, ...
        kept: why they are never removed; nothing where they may be.
    """

    units: np.ndarray
    makers: tuple[str, ...]
    followers: tuple[str, ...]
    readers: tuple[str, ...]
    ties: tuple[str, ...]
    kept: tuple[str, ...]

    def __str__(self):
        lines = [f"{len(self.units)} channels of {', '.join(self.makers)}"]
        for title, names in (
            ("tied by", self.ties),
            ("scaled by", self.followers),
            ("read by", self.readers),
            ("never removed:", self.kept),
        ):
            if names:
                lines.append(f"  {title} {', '.join(names)}")
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class Coupling:
    """How the channels of a net hang together.

    Attributes:
        name: of the model.
        graph: the calls of the model.
        tensors: the numbers of the channels of each tensor of the graph.
        parts: the layers that change with a cut, by their path, in the order of calls.
        roots: for every channel's number the number of the unit that it is part of.
        reasons: for units that are never removed: why.
        unions: for units: what ties channels together in them.
    """

    name: str
    graph: Graph
    tensors: dict[Source, np.ndarray]
    parts: dict[str, Part]
    roots: np.ndarray
    reasons: dict[int, list[str]]
    unions: dict[int, list[str]]

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """All units that some layer makes, by the layers that do."""
        makers = self._paths_by_unit(MADE)
        roles = {role: self._paths_by_unit(role) for role in (ALONG, READ)}
        alike = {}
        for unit, paths in makers.items():
            alike.setdefault((paths, unit in self.reasons), []).append(unit)
        order = {path: at for at, path in enumerate(self.parts)}

        def of_all(found, units):
            return tuple(dict.fromkeys(x for u in units for x in found.get(u, ())))

        return tuple(
            Group(
                units=np.array(sorted(units)),
                makers=paths,
                followers=tuple(
                    x for x in of_all(roles[ALONG], units) if x not in paths
                ),
                readers=of_all(roles[READ], units),
                ties=of_all(self.unions, units),
                kept=of_all(self.reasons, units),
            )
            for (paths, _), units in sorted(
                alike.items(), key=lambda item: order[item[0][0][0]]
            )
        )

    def units_of(self, channels: np.ndarray) -> np.ndarray:
        """The units that channels, given by their numbers, are part of."""
        return self.roots[channels]

    def keeper(self, stays: np.ndarray) -> Keep:
        """Gives the positions in `channels` of those in units that `stays` marks."""
        return lambda channels: np.flatnonzero(stays[self.roots[channels]])

    def axes(self, role: str | None = None) -> Iterator[tuple[Part, Axis]]:
        """Every axis of a weight along which there are channels, in a role or all."""
        for part in self.parts.values():
            for axis in part.flow.axes:
                if role in (None, axis.role):
                    yield part, axis

    def _paths_by_unit(self, role):
        found = {}
        for part, axis in self.axes(role):
            for unit in np.unique(self.roots[axis.channels]).tolist():
                paths = found.setdefault(unit, [])
                if part.path not in paths:
                    paths.append(part.path)
        return {unit: tuple(paths) for unit, paths in found.items()}


def couple(model: keras.Model) -> Coupling:
    """The coupled channels of a model; models inside it are walked too.

    Args:
        model: functional or a built `Sequential`, channels last.

    Raises:
        ValueError: `model` has no graph, or a layer or operation that no rule covers.
    """
    graph, ties = read(model), Ties()
    tensors, parts = {}, {}
    for at, call in enumerate(graph.calls):
        if isinstance(call.operation, keras.layers.InputLayer):
            channels = ties.new(_count(call.outputs[0], call.path))
            ties.keep(channels, f"input {call.path} of the model")
            tensors[Source(at)] = channels
            continue
        inputs = tuple(tensors[source] for source in call.sources)
        if not inputs:
            raise ValueError(f"{call.path} is called without a tensor of the model")
        known = parts.get(id(call.operation))
        if known is None:
            through = flow(Passage(call, inputs, ties))
            if through.is_cut:
                parts[id(call.operation)] = Part(
                    call.path,
                    call.operation,
                    inputs[0],
                    tuple(call.inputs[0].shape),
                    through,
                )
        else:  # one layer, one cut: its calls see the same channels
            ties.unite(known.inputs, inputs[0], f"two calls of {known.path}")
            through = known.flow
        for output, tensor in enumerate(call.outputs):
            channels = through.output
            if output or len(channels) != tensor.shape[-1]:
                channels = ties.new(_count(tensor, call.path))
                ties.keep(channels, f"{call.path} has several outputs")
            tensors[Source(at, output)] = channels
    for source in graph.outputs:
        path = graph.calls[source.call].path
        ties.keep(tensors[source], f"output {path} of the model")
    return Coupling(
        model.name,
        graph,
        tensors,
        {part.path: part for part in parts.values()},
        ties.roots(),
        ties.reasons(),
        ties.unions(),
    )


def _count(tensor, path):
    if len(tensor.shape) < 2 or tensor.shape[-1] is None:
        raise ValueError(f"{path} has no fixed number of channels: {tensor.shape}")
    return tensor.shape[-1]
