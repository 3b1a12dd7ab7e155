"""What `limbeck reproduce pretraining` measured: pretrainings by the number of labels.

There are no figures of a paper: those of the papers are of other nets and data.
"""

from collections.abc import Sequence

from experiments.recipes import few_labels
from experiments.tables import units
from experiments.tables.summary import Summary
from experiments.tables.table import Column, Table

DATA = "cifar10[dog,frog,horse,ship,truck]"
TUNED = {
    "scratch": "from scratch",
    "rotation_tuned": "rotations, tuned",
    "simclr_tuned": "SimCLR, tuned",
    "autoencoder_tuned": "autoencoder, tuned",
    "supervised_tuned": "five other classes, tuned",
}
PROBED = {
    "rotation_probe": "rotations, linear probe",
    "simclr_probe": "SimCLR, linear probe",
    "autoencoder_probe": "autoencoder, linear probe",
    "supervised_probe": "five other classes, linear probe",
}
NOTES = (
    "Note: CIFAR-10 here is a lossy JPEG copy. Of five classes: train 22,500, "
    "validation 2,500, test 5,000 images. The three tasks without labels saw all "
    "45,000 train images.",
    "Top-1: of the exported LiteRT file on the test images, mean ± sample standard "
    "deviation over n seeds, which choose the labelled images; each pretraining is one "
    "net. Gain: percentage points over the net of the same seed and labels that was "
    "trained from scratch. Nearest neighbours: top-1 of 20 of them on the validation "
    "images. The epoch that is kept is the best on validation, whose labels are not "
    "counted.",
)


def tables(summaries: Sequence[Summary]) -> list[Table]:
    """One line a number of labels and method."""
    neighbours = Column(
        "nearest neighbours %",
        lambda summary: units.percent(
            summary.mean("neighbours_top1"), summary.deviation("neighbours_top1")
        ),
    )
    return few_labels.tables(summaries, TUNED | PROBED, NOTES, more=(neighbours,))


def pictures(summaries: Sequence[Summary]) -> list[str]:
    """Top-1 of the tuned nets against the number of labels."""
    return few_labels.picture(summaries, TUNED)
