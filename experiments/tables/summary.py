"""Rows of several seeds -> one line a stage, or one a file, with means over the seeds.

A line never mixes nets, data, splits or forms of file.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
SAME = ("net", "data", "split", "format", "precision")


@dataclass(frozen=True)
class Line:
    """The measurements of one stage, or one of its files, over seeds.

    Attributes:
        rows: one a seed, in the order of the seeds.
    """

    rows: tuple[Row, ...]

    @property
    def stage(self) -> str:
        return self.rows[0]["stage"]

    @property
    def form(self) -> str:
        """What kind of file, as in "litert int8"."""
        words = [self.about("format"), self.about("precision")]
        return " ".join(str(word) for word in words if word)

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(row["seed"] for row in self.rows)

    def about(self, key: str) -> Any:
        """What the first row says under `key`, None if nothing."""
        return self.rows[0].get(key)

    def values(self, key: str) -> list[float]:
        """The finite numbers under `key`, one a seed that has one."""
        return [n for row in self.rows if (n := number(row.get(key))) is not None]

    def mean(self, key: str) -> float | None:
        values = self.values(key)
        return statistics.fmean(values) if values else None

    def deviation(self, key: str) -> float | None:
        """Sample standard deviation over the seeds; None of a single one."""
        values = self.values(key)
        return statistics.stdev(values) if len(values) > 1 else None


def number(value: Any) -> float | None:
    """`value` if it is a finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) else None


def stage_lines(rows: Iterable[Row], order: Sequence[str] = ()) -> list[Line]:
    """One line a stage, measured by the file that stands for it.

    Args:
        rows: as in `rows.jsonl`.
        order: names of stages; those that are missing here come last, as they come.

    Raises:
        ValueError: a stage has two rows of a seed, or its rows mix nets, data, splits
            or forms of file.
    """
    rows = list(rows)
    names = list(dict.fromkeys(row["stage"] for row in rows))
    names.sort(key=lambda name: order.index(name) if name in order else len(order))
    return [_line([row for row in rows if row["stage"] == name]) for name in names]


def file_lines(lines: Iterable[Line]) -> list[Line]:
    """One line a stage and form of file, of every file that the stages have written."""
    found = []
    for line in lines:
        forms: dict[tuple, list[Row]] = {}
        for row in line.rows:
            for file in row.get("files") or [row]:
                form = file.get("format"), file.get("precision")
                kept = {
                    key: row.get(key)
                    for key in ("stage", "seed", "net", "data", "split")
                }
                forms.setdefault(form, []).append({**file, **kept})
        found += [_line(group) for group in forms.values()]
    return found


def _line(rows):
    stage = rows[0]["stage"]
    for key in SAME:
        values = list(dict.fromkeys(row.get(key) for row in rows))
        if len(values) > 1:
            raise ValueError(
                f"the rows of stage {stage!r} mix {key} "
                f"{' and '.join(map(repr, values))}: they are not one measurement"
            )
    seeds = [row["seed"] for row in rows]
    twice = sorted({seed for seed in seeds if seeds.count(seed) > 1})
    if twice:
        raise ValueError(f"stage {stage!r} has two rows of seed {twice[0]}")
    rows = sorted(rows, key=lambda row: row["seed"])
    # What all seeds share was trained once: it is one measurement, not several.
    return Line(tuple(rows[:1] if rows[0].get("once") else rows))
