"""The columns of training steps that are compared with plain ones."""

from experiments.benchmarks.nets_table import spread_in_words
from experiments.tables.table import Column


def columns(base: str) -> tuple[Column, ...]:
    """Of the rows of `fit_steps.timed`.

    Args:
        base: what a cost is over, in a word.
    """
    return (
        Column("trained by", lambda row: row["case"], numeric=False),
        Column("images/s", lambda row: spread_in_words(row["images_per_second"])),
        Column(f"cost / {base}", _cost),
    )


def _cost(row):
    return spread_in_words(row["cost"], places=2) if "cost" in row else ""
