"""A plan: which channels of which layers are kept, as a file that can be read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compression.plan_files import listed, read_plan, text, whole, write_plan
from compression.pruning.channels.groups import Coupling

FORMAT = "limbeck channel plan 1"


@dataclass(frozen=True)
class ChannelPlan:
    """Which channels stay.

    Attributes:
        net: name of the model that it was made for, for whoever reads it.
        channels: how many each layer makes that may lose some, by the layer's name
            (behind those of models around it, "inner/conv").
        kept: those of them that stay, by their numbers in rising order. Layers that
            are tied keep the same ones: whoever edits a plan changes all of them.
    """

    net: str
    channels: Mapping[str, int]
    kept: Mapping[str, tuple[int, ...]]

    def save(self, path: str | Path) -> None:
        """Writes the plan as JSON, a line for each layer, atomically."""
        layers = {
            layer: {"channels": count, "kept": list(self.kept[layer])}
            for layer, count in self.channels.items()
        }
        write_plan(path, FORMAT, {"net": self.net}, layers)


def load_plan(path: str | Path) -> ChannelPlan:
    """The plan that `ChannelPlan.save` wrote, or that somebody edited.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no plan.
    """
    return read_plan(
        path, FORMAT, _read, kind="channel plan", writer="ChannelPlan.save"
    )


def _read(content):
    layers = content["layers"]
    channels = {layer: whole(entry["channels"]) for layer, entry in layers.items()}
    kept = {
        layer: tuple(map(whole, listed(entry["kept"])))
        for layer, entry in layers.items()
    }
    return ChannelPlan(text(content["net"]), channels, kept)


def plan_of(coupling: Coupling, stays: np.ndarray) -> ChannelPlan:
    """The plan that keeps the units marked in `stays`, an array by unit."""
    channels, kept = {}, {}
    for part in coupling.parts.values():
        if part.made is None:
            continue
        units = coupling.units_of(part.made)
        if any(unit not in coupling.reasons for unit in units.tolist()):
            channels[part.path] = len(units)
            kept[part.path] = tuple(np.flatnonzero(stays[units]).tolist())
    return ChannelPlan(coupling.name, channels, kept)


def units_of(plan: ChannelPlan, coupling: Coupling) -> np.ndarray:
    """Which units stay, an array of booleans by unit; those of no layer named do.

    Raises:
        ValueError: the plan is for another net, or cannot be carried out in this one.
    """
    stays = np.ones(len(coupling.roots), bool)
    decided = {}  # by unit: the layer and the channel that decided first
    for layer, kept in plan.kept.items():
        units = coupling.units_of(_made(plan, layer, coupling))
        _require_numbers(layer, kept, len(units))
        wanted = np.isin(np.arange(len(units)), kept)
        for channel, (unit, stay) in enumerate(
            zip(units.tolist(), wanted.tolist(), strict=True)
        ):
            first = decided.setdefault(unit, (layer, channel, stay))
            if first[2] != stay:
                raise ValueError(_torn(first, (layer, channel, stay), unit, coupling))
            if not stay and unit in coupling.reasons:
                raise ValueError(
                    f"the plan removes channel {channel} of {layer!r}, which has to "
                    f"stay: {', '.join(coupling.reasons[unit])}"
                )
            stays[unit] = stay
    for group in coupling.groups:  # a layer that the plan leaves out is kept whole
        for maker in set(group.makers) - set(plan.kept):
            lost = group.units[~stays[group.units]]
            if len(lost):
                layer, channel, _ = decided[lost[0]]
                raise ValueError(
                    f"the plan removes channel {channel} of {layer!r} and leaves out "
                    f"{maker!r}, which is tied to it by {', '.join(group.ties)}"
                )
    return stays


def _torn(first, second, unit, coupling):
    kept, removed = (first, second) if first[2] else (second, first)
    ties = ", ".join(coupling.unions.get(unit, ["a common input"]))
    return (
        f"the plan keeps channel {kept[1]} of {kept[0]!r} and removes channel "
        f"{removed[1]} of {removed[0]!r}, which are tied by {ties}"
    )


def _made(plan, layer, coupling):
    part = coupling.parts.get(layer)
    if part is None or part.made is None:
        raise ValueError(
            f"the plan is for another net ({plan.net!r}): {coupling.name!r} has no "
            f"layer {layer!r} that makes channels"
        )
    if len(part.made) != plan.channels[layer]:
        raise ValueError(
            f"the plan is for another net ({plan.net!r}): {layer!r} of "
            f"{coupling.name!r} makes {len(part.made)} channels, not "
            f"{plan.channels[layer]}"
        )
    return part.made


def _require_numbers(layer, kept, count):
    if not kept:
        raise ValueError(f"the plan keeps no channel of {layer!r}: one must stay")
    if list(kept) != sorted(set(kept)) or kept[0] < 0 or kept[-1] >= count:
        raise ValueError(
            f"the plan must keep channels of {layer!r} by their numbers from 0 to "
            f"{count - 1}, rising, got {list(kept)}"
        )
