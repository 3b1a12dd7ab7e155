"""What competes with what: a class for each group, of which the same fraction goes."""

from collections import Counter
from collections.abc import Hashable, Sequence

from compression.pruning.channels.groups import Coupling, Group

SCOPES = ("global", "local", "isomorphic")


def require_scope(scope: str) -> None:
    """Raises ValueError unless there is such a scope."""
    if scope not in SCOPES:
        raise ValueError(f"no scope called {scope!r}; choose from {', '.join(SCOPES)}")


def classes(
    scope: str, groups: Sequence[Group], coupling: Coupling
) -> tuple[Hashable, ...]:
    """The class of each group: units of one class are ranked together.

    Args:
        scope: "global": all are one class; "local": each is one; "isomorphic": those
            of one structure are (Fang et al., "Isomorphic pruning for vision models",
            2024, https://arxiv.org/abs/2407.04616). The paper compares
            the graphs of the sub-structures; here two are alike where as many layers
            of each kind make, scale and read the channels, which is so of all that
            are isomorphic, and seldom of others.
    """
    if scope == "global":
        return ("all",) * len(groups)
    if scope == "local":
        return tuple(range(len(groups)))
    return tuple(_structure(group, coupling) for group in groups)


def _structure(group, coupling):
    def kinds(paths):
        return frozenset(
            Counter(type(coupling.parts[path].layer).__name__ for path in paths).items()
        )

    return kinds(group.makers), kinds(group.followers), kinds(group.readers)
