"""What `limbeck reproduce resnet_to_alexnet_mnist` measured, as for CIFAR-10."""

from collections.abc import Sequence

from experiments.recipes.resnet_to_alexnet import tables as cifar
from experiments.tables.summary import Summary
from experiments.tables.table import Table

DATA = "mnist"
METHODS = cifar.METHODS | {
    "teacher": "ResNet-20",
    "assistant": "assistant: 1/4 wide, taught by the teacher",
}
MIDDLE = 16
NOTE = "Train 55,000, validation 5,000, test 10,000 images."


def tables(summaries: Sequence[Summary]) -> list[Table]:
    """Two tables: sizes and methods, and the orders of three steps."""
    return cifar.tables_of(summaries, METHODS, MIDDLE, [NOTE])


def pictures(summaries: Sequence[Summary]) -> list[str]:
    """Test top-1 against bytes and against latency, a point a stage, as SVG."""
    return cifar.pictures_of(summaries, METHODS)
