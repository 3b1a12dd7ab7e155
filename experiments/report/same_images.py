"""Two nets on the same test images: what one gets right and the other does not."""

from collections.abc import Mapping, Sequence
from math import comb

import numpy as np

from experiments.tables import units
from experiments.tables.table import Column, Table, tabulate

NOTES = (
    "How likely two nets that are equally good differ by so much, by chance: McNemar's "
    "exact test of those images that one alone gets right.",
)


def by_chance(first: int, second: int) -> float:
    """McNemar's exact two-sided p.

    Args:
        first: images that the first net alone gets right.
        second: those that the second alone gets right.
    """
    count = first + second
    tail = sum(comb(count, i) for i in range(min(first, second) + 1))
    return min(1.0, 2 * tail / 2**count)


def table(
    labels: np.ndarray,
    answers: Mapping[str, np.ndarray],
    reference: str,
    title: str,
    notes: Sequence[str] = (),
) -> Table | None:
    """Every net beside the reference; None where there is nothing to compare.

    Args:
        labels: (images,).
        answers: (images,) of each net.
        reference: one of them.
        title: of the table.
        notes: about the data.
    """
    if reference not in answers or len(answers) < 2 or not len(labels):
        return None
    right = answers[reference] == labels
    rows = []
    for name, each in answers.items():
        if name == reference:
            continue
        other = each == labels
        only = int((right & ~other).sum()), int((other & ~right).sum())
        same = float((each == answers[reference]).mean())
        rows.append((name, same, int((right & other).sum()), *only))
    columns = (
        Column("stage", lambda row: row[0], numeric=False),
        Column("same answer %", lambda row: units.percent(row[1])),
        Column("both right", lambda row: units.count(row[2])),
        Column(f"only {reference}", lambda row: units.count(row[3])),
        Column("only the stage", lambda row: units.count(row[4])),
        Column("by chance", lambda row: _probability(by_chance(*row[3:]))),
    )
    return tabulate(title, columns, rows, [*notes, *NOTES])


def _probability(value):
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}"
