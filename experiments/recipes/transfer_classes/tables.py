"""What `limbeck reproduce transfer_classes` measured: methods by the number of labels.

There are no figures of a paper: we know of none for these halves of CIFAR-10.
"""

from collections.abc import Sequence

from experiments.recipes import few_labels
from experiments.recipes.few_labels import TOP1, TRANSFERS
from experiments.tables.summary import Summary
from experiments.tables.table import Table

DATA = "cifar10[dog,frog,horse,ship,truck]"
NOTES = (
    "Note: CIFAR-10 here is a lossy JPEG copy. Of five classes: train 22,500, "
    "validation 2,500, test 5,000 images.",
    TOP1.format(validation="labels"),
)


def tables(summaries: Sequence[Summary]) -> list[Table]:
    """One line a number of labels and method."""
    return few_labels.tables(summaries, TRANSFERS, NOTES)


def pictures(summaries: Sequence[Summary]) -> list[str]:
    """Top-1 against the number of labels."""
    return few_labels.picture(summaries, TRANSFERS)
