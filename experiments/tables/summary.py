"""Rows of several seeds -> a summary of each stage, or of each file.

A summary never mixes nets, data, splits or forms of file.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.schema import LARGEST

Row = Mapping[str, Any]
SAME = ("net", "data", "split", "format", "precision")


@dataclass(frozen=True)
class Summary:
    """The measurements of one stage, or of one of its files, over the seeds.

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
        """The value under `key` in the first row, None if it has none."""
        return self.rows[0].get(key)

    def values(self, key: str) -> list[float]:
        """The finite numbers under `key`, one for each seed that has one."""
        return [n for row in self.rows if (n := number(row.get(key))) is not None]

    def by_seed(self, key: str) -> dict[int, float]:
        """Likewise, by the seed."""
        found = ((row["seed"], number(row.get(key))) for row in self.rows)
        return {seed: value for seed, value in found if value is not None}

    def mean(self, key: str) -> float | None:
        values = self.values(key)
        return statistics.fmean(values) if values else None

    def deviation(self, key: str) -> float | None:
        """Sample standard deviation over the seeds; None of a single one."""
        values = self.values(key)
        return statistics.stdev(values) if len(values) > 1 else None


def number(value: Any) -> float | None:
    """`value` if it is a number of a size that can be measured, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) <= LARGEST else None


def stage_summaries(rows: Iterable[Row], order: Sequence[str] = ()) -> list[Summary]:
    """One summary a stage, of the file that stands for it.

    Args:
        rows: as in `rows.jsonl`.
        order: names of stages; stages not named here come last, in the order of the
            rows.

    Raises:
        ValueError: a stage has two rows of a seed, or its rows mix nets, data, splits
            or forms of file.
    """
    rows = list(rows)
    names = list(dict.fromkeys(row["stage"] for row in rows))
    names.sort(key=lambda name: order.index(name) if name in order else len(order))
    return [_summary([row for row in rows if row["stage"] == name]) for name in names]


def file_summaries(summaries: Iterable[Summary]) -> list[Summary]:
    """One summary a stage and form of file, of every file that the stages wrote."""
    found = []
    for summary in summaries:
        forms: dict[tuple, list[Row]] = {}
        for row in summary.rows:
            for file in row.get("files") or [row]:
                form = file.get("format"), file.get("precision")
                kept = {
                    key: row.get(key)
                    for key in ("stage", "seed", "net", "data", "split")
                }
                forms.setdefault(form, []).append({**file, **kept})
        found += [_summary(group) for group in forms.values()]
    return found


def _summary(rows):
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
    return Summary(tuple(rows[:1] if rows[0].get("once") else rows))


def paired_gain(before: Summary | None, after: Summary) -> str:
    """What top-1 gains in points over the same seeds: mean ± sample deviation.

    "" where there is nothing before, or no seed that both have.
    """
    gains = [] if before is None else paired_gains(before, after)
    if not gains:
        return ""
    spread = f" ± {statistics.stdev(gains):.2f}" if len(gains) > 1 else ""
    return f"{statistics.fmean(gains):+.2f}{spread}"


def paired_gains(before: Summary, after: Summary) -> list[float]:
    """What top-1 gains in points, one number for each seed that both have."""
    first, then = (each.by_seed("top1") for each in (before, after))
    return [100 * (then[seed] - first[seed]) for seed in then if seed in first]
