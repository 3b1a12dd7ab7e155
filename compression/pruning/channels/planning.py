"""Which channels a net should lose so that it meets a budget."""

from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase

import keras
import numpy as np

from compression.arguments import names, require_number
from compression.pruning.channels.budget import (
    Costs,
    Limits,
    Ranking,
    filled,
    within,
    within_latency,
)
from compression.pruning.channels.exported import latency_left
from compression.pruning.channels.groups import Coupling, Group, couple
from compression.pruning.channels.plan import ChannelPlan, plan_of
from compression.pruning.channels.saliency import require_saliency
from compression.pruning.channels.saliency import saliency as scores_of
from compression.pruning.channels.scopes import classes, require_scope
from compression.pruning.channels.surgery import cut
from compression.weights import require_finite_weights


def plan_channels(  # noqa: PLR0913
    model: keras.Model,
    *,
    macs: float | None = None,
    parameters: float | None = None,
    bytes: float | None = None,
    ram: float | None = None,
    latency: float | None = None,
    saliency: str = "l2",
    scope: str = "global",
    data: Iterable | None = None,
    round_to: int = 1,
    min_channels: int = 1,
    floor: float = 0.1,
    exempt: Sequence[str] = (),
    seed: int = 0,
    timed: Callable[[keras.Model], float] | None = None,
) -> ChannelPlan:
    """A plan that leaves no more of the net than a budget allows, and hardly less.

    Channels that are coupled go together (see `channel_groups`); inputs and outputs
    of the model stay whole. Nothing is trained and the model stays as it is:
    `remove_channels` carries the plan out.

    Budgets are fractions of the whole net's in (0, 1]; all that are given hold.

    Args:
        model: functional or a built `Sequential`, channels last.
        macs: multiply-accumulates.
        parameters: learned weights.
        bytes: of the float32 LiteRT file. The whole net is exported once; what a cut
            leaves is counted.
        ram: activations that are held at once, see `measure.peak_activations`: what a
            board needs. For one with 64 kB and an int8 file it is
            `65536 / measure.peak_activations(model)`.
        latency: milliseconds of one image, measured: some nets on the way are
            exported and timed, three to six of them. What comes out differs from
            machine to machine, and a little from time to time.
        saliency: by what channels are ranked, see `channels.saliency`: "l1", "l2",
            "fpgm", "batch_norm", "random"; from images "hrank", "wanda"; from images
            with labels "taylor", "fisher".
        scope: "global": the least salient channels go wherever they are; "local": the
            same fraction of each group goes; "isomorphic": of all groups of the same
            structure together, see `channels.scopes`.
        data: for the saliencies that need it: batches of images, or tuples (images,
            integer labels).
        round_to: a group keeps a multiple of so many channels, or all: 8 suits most
            devices, and with odd numbers ResNet-20 was measured to train half as fast
            on a processor as with multiples of 4. What the last rounding took too
            much comes back, of other groups, unless a latency is the budget.
        min_channels: that stay in each group at least.
        floor: fraction of each group that stays at least.
        exempt: names of layers, or patterns as in "block1_*", that keep all of the
            channels that they make.
        seed: for "random".
        timed: for `latency`: gives for a smaller net the fraction of the time that it
            takes. None: `latency_left(model)`, with LiteRT and one thread.

    Raises:
        ValueError: a number is out of its range, there is no such saliency, scope or
            layer; the budget cannot be reached (the message says what can); the net
            has no graph, layers that no rule covers, or weights that are not finite.
        RuntimeError, ValueError: for `bytes` or `latency`, the net cannot be exported.
    """
    budgets = _given(
        macs=macs, parameters=parameters, bytes=bytes, ram=ram, latency=latency
    )
    require_settings(
        **budgets,
        saliency=saliency,
        scope=scope,
        round_to=round_to,
        min_channels=min_channels,
        floor=floor,
    )
    require_finite_weights(model)
    limits = Limits(min_channels, floor, round_to)
    coupling = couple(model)
    exempt = names("exempt", exempt)
    free = free_groups(coupling, exempt)
    scores = scores_of(saliency, model, coupling, data=data, seed=seed)
    free = [group for group in free if not np.isnan(scores[group.units]).any()]
    if not free:
        raise ValueError(
            f"{model.name!r} has no channels that may go"
            + (" and have batch norm" if saliency == "batch_norm" else "")
        )
    ranking = Ranking(
        free, scores, classes(scope, free, coupling), limits, len(coupling.roots)
    )
    budgets.pop("latency", None)
    costs = Costs(model, coupling)
    number = within(ranking, costs, budgets)
    if round_to > 1 and latency is None:
        return plan_of(coupling, filled(ranking, number, costs, budgets))
    if latency is not None:
        timed = timed or latency_left(model)
        whole = costs.macs(ranking.cut(0))
        number = within_latency(
            ranking,
            number,
            latency,
            time_left=lambda stays: _checked(timed(cut(model, coupling, stays))),
            macs_left=lambda stays: costs.macs(stays) / whole,
        )
    return plan_of(coupling, ranking.cut(number))


def _checked(share):
    require_number("what `timed` gives", share)
    return share


def require_settings(  # noqa: PLR0913
    *,
    macs: float | None = None,
    parameters: float | None = None,
    bytes: float | None = None,
    ram: float | None = None,
    latency: float | None = None,
    saliency: str = "l2",
    scope: str = "global",
    round_to: int = 1,
    min_channels: int = 1,
    floor: float = 0.1,
) -> None:
    """Raises ValueError where `plan_channels` would, whatever the net."""
    budgets = _given(
        macs=macs, parameters=parameters, bytes=bytes, ram=ram, latency=latency
    )
    if not budgets:
        raise ValueError(
            "a plan needs a budget: macs=0.5, or parameters, bytes, ram or latency"
        )
    for name, left in budgets.items():
        require_number(name, left, kind="a number or None")
        if not 0 < left <= 1:
            raise ValueError(f"{name} is what is left, in (0, 1], got {left}")
    require_scope(scope)
    require_saliency(saliency)
    Limits(min_channels, floor, round_to)


def channel_groups(model: keras.Model) -> tuple[Group, ...]:
    """The coupled groups of a net; `print` one to see why its channels go together.

    Raises:
        ValueError: the net has no graph, or layers that no rule covers.
    """
    return couple(model).groups


def free_groups(coupling: Coupling, exempt: Sequence[str]) -> list[Group]:
    """The groups whose channels may go.

    Args:
        exempt: names of layers, or patterns of them, that keep all that they make.

    Raises:
        ValueError: no layer that makes channels is called so.
    """
    makers = {maker for group in coupling.groups for maker in group.makers}
    for pattern in exempt:
        if not any(fnmatchcase(maker, pattern) for maker in makers):
            raise ValueError(
                f"no layer of {coupling.name!r} that makes channels is called "
                f"{pattern!r}"
            )
    return [
        group
        for group in coupling.groups
        if not group.kept
        and not any(fnmatchcase(m, p) for m in group.makers for p in exempt)
    ]


def _given(**budgets):
    return {name: left for name, left in budgets.items() if left is not None}
