"""The figures of `limbeck bench search` as a table, with its aims and its setting."""

from collections.abc import Iterator
from statistics import mean, stdev
from typing import Any

from experiments.benchmarks import search, setting
from experiments.tables import table as rendering
from experiments.tables import units
from experiments.tables.table import Column, tabulate

AIMS = {"smaller": 1.5, "faster": 1.3}
COSTS = {"smaller": "bytes", "faster": "time"}


def as_text(result: dict[str, Any], width: int = 110) -> str:
    """The result of `search.run` as a table."""
    columns = (
        Column("net", lambda row: row["net"], numeric=False),
        Column("by", lambda row: row["by"], numeric=False),
        Column("limit, or what is done", lambda row: row["way"], numeric=False),
        Column("top-1 %", _top1),
        Column("bytes", lambda row: units.scaled(mean(row["bytes"]), "B")),
        Column("latency ms", lambda row: f"{mean(row['latency_ms']):.3f}"),
        Column("arena", _arena),
        Column("smaller", lambda row: _ratio(row.get("smaller"))),
        Column("faster", lambda row: _ratio(row.get("faster"))),
    )
    notes = [
        *_judged(result["results"]),
        "Smaller, faster: than a file made by hand that is as accurate, read off the "
        "curve through the best of these, by seed; lowest to highest of the seeds. "
        "Where none is as accurate: than the most accurate one.",
        f"{result['seeds']} seeds; top-1 of the .tflite files on test images, mean ± "
        "standard deviation; latency: one image, one thread, all files in turns.",
        *_setting(result),
    ]
    notes += [f"Left out: {name}, {why}." for name, why in result["skipped"].items()]
    notes += setting.in_words(result["setting"])
    if result["quick"]:
        notes.append("Quick: shows that everything runs; the figures mean nothing.")
    table = tabulate("A search, and by hand", columns, result["results"], notes)
    return f"{table.title}\n{rendering.as_text(table, width)}"


def _top1(row):
    spread = stdev(row["top1"]) if len(set(row["top1"])) > 1 else None
    return units.percent(mean(row["top1"]), spread)


def _arena(row):
    known = [value for value in row["arena_bytes"] if value is not None]
    return units.scaled(mean(known), "B") if known else "–"


def _ratio(found):
    if found is None:
        return ""
    known = [value for value in found if value is not None]
    if len(known) < len(found):
        return "–"
    return f"{mean(known):.2f} [{min(known):.2f}–{max(known):.2f}]"


def _judged(rows) -> Iterator[str]:
    """Whether each search reaches its aims."""
    for row in rows:
        if row["by"] != search.SEARCH:
            continue
        told = []
        for ratio, aim in AIMS.items():
            if None in row[ratio]:
                told.append(
                    f"{COSTS[ratio]}: all that was made by hand is more accurate"
                )
                continue
            found = mean(row[ratio])
            judged = "met" if found >= aim else "missed"
            told.append(f"{COSTS[ratio]} {found:.2f} times less, aim {aim}: {judged}")
        took = [seconds / 60 for seconds in row["seconds"] if seconds is not None]
        if took:
            told.append(f"it took {min(took):.1f} to {max(took):.1f} minutes")
        yield f"{row['net']}, {row['way']}: {'; '.join(told)}."


def _setting(result) -> Iterator[str]:
    for name in dict.fromkeys(row["net"] for row in result["results"]):
        data, hours = result["data"][name], result["hours"][name]
        yield f"{name}: {60 * hours:g} minutes a search; {data}"
