"""What `limbeck reproduce he2016` measured, beside table 6 of the paper.

He et al. (2016), https://arxiv.org/abs/1512.03385.
"""

from collections.abc import Sequence

from experiments.tables import units
from experiments.tables.error import error
from experiments.tables.summary import Summary
from experiments.tables.table import Column, Table, tabulate

DATA = "cifar10"
# Error in percent, table 6.
PAPER = {"resnet20": 8.75, "resnet32": 7.51, "resnet44": 7.17, "resnet56": 6.97}
TRAINED = "trained"
NOTES = (
    "Note: CIFAR-10 here is a lossy JPEG copy, on which nets that were trained on the "
    "true images do worse. Test 10,000 images.",
    "Error: of the exported LiteRT file on the test images, mean ± sample standard "
    "deviation over n seeds; published weights are one net each. Paper: table 6, on "
    "the true CIFAR-10.",
)


def tables(summaries: Sequence[Summary]) -> list[Table]:
    """One line a net."""
    shown = [s for s in summaries if s.stage in (*PAPER, TRAINED)]
    return [tabulate("ResNets on CIFAR-10", COLUMNS, shown, NOTES)]


def pictures(summaries: Sequence[Summary]) -> list[str]:
    """None: four numbers are a table."""
    del summaries
    return []


def _weights(summary):
    if summary.stage == TRAINED:
        return f"trained here, {units.count(summary.mean('epochs'))} epochs"
    return "published"


def _error(summary):
    return "" if summary.mean("top1") is None else error(summary)


def _paper(summary):
    net = summary.about("net")
    return f"{PAPER[net]:.2f}" if net in PAPER else ""


COLUMNS = (
    Column("net", lambda summary: str(summary.about("net")), numeric=False),
    Column("weights", _weights, numeric=False),
    Column("error %", _error),
    Column("n", lambda summary: str(len(summary.values("top1")))),
    Column("paper: error %", _paper),
    Column("parameters", lambda s: units.count(s.mean("parameters"))),
    Column("MACs", lambda summary: units.scaled(summary.mean("macs"))),
)
