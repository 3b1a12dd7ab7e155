"""What `limbeck reproduce transfer_digits` measured: methods by the number of labels.

There are no figures of a paper: we know of none for this pair of datasets.
"""

from collections.abc import Sequence

from experiments.recipes import few_labels
from experiments.tables.summary import Summary
from experiments.tables.table import Table

DATA = "digits"
METHODS = {
    "scratch": "from scratch",
    "frozen": "frozen backbone",
    "staged": "unfrozen in stages",
    "full": "full fine-tuning",
}
NOTES = (
    "Data: scikit-learn's 1,797 digits, train 1,259, validation 179, test 359 images; "
    "one test image is 0.28 points.",
    "Top-1: of the exported LiteRT file on the test images, mean ± sample standard "
    "deviation over n seeds, which choose the labelled images. Gain: percentage points "
    "over the net of the same seed and labels that was trained from scratch. The epoch "
    "that is kept is the best on validation, whose 179 labels are not counted.",
)


def tables(summaries: Sequence[Summary]) -> list[Table]:
    """One line a number of labels and method."""
    return few_labels.tables(summaries, METHODS, NOTES)


def pictures(summaries: Sequence[Summary]) -> list[str]:
    """Top-1 against the number of labels."""
    return few_labels.picture(summaries, METHODS)
