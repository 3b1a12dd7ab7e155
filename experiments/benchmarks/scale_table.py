"""The figures of `limbeck bench scale` as a table, with its aim and its setting."""

from typing import Any

from experiments.benchmarks.scale import PARTS
from experiments.benchmarks.setting import in_words
from experiments.tables import table as rendering
from experiments.tables.table import Column, tabulate

FLAT = 0.1  # how much dearer an image may be than with the fewest images and classes
MICRO = 1e6
WHAT = {
    "read": "reading",
    "train": "training",
    "cache": "teacher's outputs",
    "measure": "measuring",
}


def as_text(result: dict[str, Any], width: int = 110) -> str:
    """The result of `scale.run` as a table."""
    rows = result["results"]
    columns = (
        Column("images", lambda row: f"{row['images']:,}"),
        Column("classes", lambda row: f"{row['classes']:,}"),
        *(
            Column(f"{what} µs", lambda row, part=part: f"{_each(row, part):,.0f}")
            for part, what in WHAT.items()
        ),
        Column("planning s", lambda row: f"{row['parts']['plan']['seconds']:.2f}"),
        Column("memory GB", lambda row: f"{_memory(row) / 1e9:.2f}"),
        Column("train images", lambda row: _where(row), numeric=False),
    )
    notes = [
        *_judged(rows),
        "Microseconds of an image, gone through once; of training the second epoch. "
        "Memory: the most that the process has taken by its end. ResNet-20 of a "
        "quarter of its width, images of 28 px from PNG files.",
        *in_words(result["setting"]),
    ]
    if result["quick"]:
        notes.append("Quick: shows that everything runs; the figures mean nothing.")
    table = tabulate("What an image costs", columns, rows, notes)
    return f"{table.title}\n{rendering.as_text(table, width)}"


def _each(row, part):
    """Microseconds of an image."""
    found = row["parts"][part]
    return MICRO * found["seconds"] / found["images"]


def _memory(row):
    return max(row["parts"][part]["peak_memory_bytes"] for part in PARTS)


def _where(row):
    return "in memory" if row["in_memory"] else "read while training"


def _judged(rows):
    """What grows with the images or the classes, against the first row."""
    first, *others = rows
    for part, what in WHAT.items():
        dearest = max(
            (_each(row, part) / _each(first, part) for row in others), default=1
        )
        flat = "flat" if dearest <= 1 + FLAT else "not flat"
        yield (
            f"{what}: an image costs up to {dearest:.2f} times that of "
            f"{first['images']:,} images and {first['classes']:,} classes; aim "
            f"{1 + FLAT:g}: {flat}."
        )
