"""The error of a stage as a table's cell."""

from experiments.tables import units
from experiments.tables.summary import Summary


def error(summary: Summary) -> str:
    """What is wrong of the test images, in percent; a dash where nobody counted."""
    top1 = summary.mean("top1")
    if top1 is None:
        return units.NOTHING
    return units.percent(1 - top1, summary.deviation("top1"))
