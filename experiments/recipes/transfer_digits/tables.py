"""What `limbeck reproduce transfer_digits` measured: methods by the number of labels.

There are no figures of a paper: we know of none for this pair of datasets.
"""

from collections.abc import Sequence

from experiments.recipes import few_labels
from experiments.recipes.few_labels import TOP1, TRANSFERS
from experiments.tables.summary import Summary
from experiments.tables.table import Table

DATA = "digits"
NOTES = (
    "Data: scikit-learn's 1,797 digits, train 1,259, validation 179, test 359 images; "
    "one test image is 0.28 points.",
    TOP1.format(validation="179 labels"),
)


def tables(summaries: Sequence[Summary]) -> list[Table]:
    """One line a number of labels and method."""
    return few_labels.tables(summaries, TRANSFERS, NOTES)


def pictures(summaries: Sequence[Summary]) -> list[str]:
    """Top-1 against the number of labels."""
    return few_labels.picture(summaries, TRANSFERS)
