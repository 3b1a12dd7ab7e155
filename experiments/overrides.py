"""Until `replaced` and `smoke` move here."""

from experiments.recipe import replaced, smoke

__all__ = ["replaced", "smoke"]
