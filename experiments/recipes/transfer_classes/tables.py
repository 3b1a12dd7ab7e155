"""What `limbeck reproduce transfer_classes` measured: methods by the number of labels.

There are no figures of a paper: we know of none for these halves of CIFAR-10.
"""

from collections.abc import Sequence

from experiments.recipes import few_labels
from experiments.tables.summary import Summary
from experiments.tables.table import Table

DATA = "cifar10[dog,frog,horse,ship,truck]"
METHODS = {
    "scratch": "from scratch",
    "frozen": "frozen backbone",
    "staged": "unfrozen in stages",
    "full": "full fine-tuning",
}
NOTES = (
    "Note: CIFAR-10 here is a lossy JPEG copy. Of five classes: train 22,500, "
    "validation 2,500, test 5,000 images.",
    "Top-1: of the exported LiteRT file on the test images, mean ± sample standard "
    "deviation over n seeds, which choose the labelled images. Gain: percentage points "
    "over the net of the same seed and labels that was trained from scratch. The epoch "
    "that is kept is the best on validation, whose labels are not counted.",
)


def tables(summaries: Sequence[Summary]) -> list[Table]:
    """One line a number of labels and method."""
    return few_labels.tables(summaries, METHODS, NOTES)


def pictures(summaries: Sequence[Summary]) -> list[str]:
    """Top-1 against the number of labels."""
    return few_labels.picture(summaries, METHODS)
