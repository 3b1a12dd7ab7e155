"""Which channels a net should lose so that it meets a budget."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

import keras
import numpy as np

from compression.pruning.channels.budget import Costs, Limits, Ranking, within
from compression.pruning.channels.groups import Coupling, Group, couple
from compression.pruning.channels.plan import ChannelPlan, plan_of
from compression.pruning.channels.saliency import require_saliency
from compression.pruning.channels.saliency import saliency as scores_of

SCOPES = ("global", "local")


def plan_channels(  # noqa: PLR0913
    model: keras.Model,
    *,
    macs: float | None = None,
    parameters: float | None = None,
    saliency: str = "l2",
    scope: str = "global",
    data: Iterable | None = None,
    round_to: int = 1,
    min_channels: int = 1,
    floor: float = 0.1,
    exempt: Sequence[str] = (),
    seed: int = 0,
) -> ChannelPlan:
    """A plan that leaves no more of the net than a budget allows, and hardly less.

    Channels that are coupled go together (see `channel_groups`); inputs and outputs
    of the model stay whole. Nothing is trained and the model stays as it is:
    `remove_channels` carries the plan out.

    Args:
        model: functional or a built `Sequential`, channels last.
        macs: fraction of its multiply-accumulates that may be left, in (0, 1].
        parameters: fraction of its parameters that may be left. One of the two
            budgets, or both.
        saliency: by what channels are ranked: "l1", "l2", "fpgm", "batch_norm",
            "taylor" or "random", see `channels.saliency`.
        scope: "global": the least salient channels go wherever they are; "local": the
            same fraction of each group goes.
        data: for "taylor": batches (images, integer labels).
        round_to: a group keeps a multiple of so many channels (8 suits most devices),
            or all.
        min_channels: that stay in each group at least.
        floor: fraction of each group that stays at least.
        exempt: names of layers, or patterns as in "block1_*", that keep all of the
            channels that they make.
        seed: for "random".

    Raises:
        ValueError: a number is out of its range, there is no such saliency, scope or
            layer; the budget cannot be reached (the message says what can); the net
            has no graph, or layers that no rule covers.
    """
    require_settings(
        macs=macs,
        parameters=parameters,
        saliency=saliency,
        scope=scope,
        round_to=round_to,
        min_channels=min_channels,
        floor=floor,
    )
    budgets = _budgets(macs, parameters)
    limits = Limits(min_channels, floor, round_to)
    coupling = couple(model)
    free = _free(coupling, exempt)
    scores = scores_of(saliency, model, coupling, data=data, seed=seed)
    free = [group for group in free if not np.isnan(scores[group.units]).any()]
    if not free:
        raise ValueError(
            f"{model.name!r} has no channels that may go"
            + (" and have batch norm" if saliency == "batch_norm" else "")
        )
    ranking = Ranking(free, scores, scope, limits, len(coupling.roots))
    return plan_of(coupling, within(ranking, Costs(model, coupling), budgets))


def require_settings(  # noqa: PLR0913
    *,
    macs: float | None = None,
    parameters: float | None = None,
    saliency: str = "l2",
    scope: str = "global",
    round_to: int = 1,
    min_channels: int = 1,
    floor: float = 0.1,
) -> None:
    """Raises ValueError where `plan_channels` would, whatever the net."""
    budgets = _budgets(macs, parameters)
    if not budgets:
        raise ValueError("a plan needs a budget: macs=0.5 or parameters=0.5")
    for name, left in budgets.items():
        if not 0 < left <= 1:
            raise ValueError(f"{name} is what is left, in (0, 1], got {left}")
    if scope not in SCOPES:
        raise ValueError(f"no scope called {scope!r}; choose from {', '.join(SCOPES)}")
    require_saliency(saliency)
    Limits(min_channels, floor, round_to)


def channel_groups(model: keras.Model) -> tuple[Group, ...]:
    """The coupled groups of a net; `print` one to see why its channels go together.

    Raises:
        ValueError: the net has no graph, or layers that no rule covers.
    """
    return couple(model).groups


def _budgets(macs, parameters):
    both = {"macs": macs, "parameters": parameters}
    return {name: left for name, left in both.items() if left is not None}


def _free(coupling: Coupling, exempt) -> list[Group]:
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
