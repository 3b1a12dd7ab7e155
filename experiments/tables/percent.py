"""A share of a stage, over its seeds, as a table's cell."""

from experiments.tables import units
from experiments.tables.summary import Summary


def percent(summary: Summary, key: str) -> str:
    """What stands under `key`, 0 to 1, in percent: mean ± sample deviation."""
    return units.percent(summary.mean(key), summary.deviation(key))
