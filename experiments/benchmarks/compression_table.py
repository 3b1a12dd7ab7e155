"""The figures of `limbeck bench compression` as a table, with who wins where."""

import statistics
from collections.abc import Iterator
from typing import Any

from experiments.benchmarks import compression
from experiments.benchmarks.compression import DENSE, LIMBECK, TFMOT
from experiments.benchmarks.setting import in_words
from experiments.tables import table as rendering
from experiments.tables import units
from experiments.tables.table import Column, tabulate

# A figure in which less is better -> how it is called, and by which factor it counts.
COSTS = {
    "bytes_zipped": ("zipped bytes", 1.01),
    "epoch_seconds": ("seconds an epoch", 1.05),
    "peak_memory_bytes": ("memory", 1.05),
}
WIDTH = 110


def as_text(result: dict[str, Any], width: int = WIDTH) -> str:
    """The result of `compression.run` as a table."""
    columns = (
        Column("net", lambda row: row["net"], numeric=False),
        Column("method", lambda row: row["method"], numeric=False),
        Column("by", lambda row: row["engine"], numeric=False),
        Column("top-1 %", _top1),
        Column("weights", lambda row: row["precision"], numeric=False),
        Column("bytes", lambda row: units.scaled(row["bytes"], "B")),
        Column("zipped", lambda row: units.scaled(row["bytes_zipped"], "B")),
        Column("s an epoch", lambda row: f"{_mean(row['epoch_seconds']):.2f}"),
        Column("memory", lambda row: units.scaled(row["peak_memory_bytes"], "B")),
    )
    notes = [*_judged(result["results"]), *_budget(result)]
    notes += [f"Left out: {name}, {why}." for name, why in result["skipped"].items()]
    notes += in_words(result["setting"])
    if result["quick"]:
        notes.append("Quick: shows that everything runs; the figures mean nothing.")
    table = tabulate("Compressed by both", columns, result["results"], notes)
    return f"{table.title}\n{rendering.as_text(table, width)}"


def _top1(row):
    several = len(row["top1"]) > 1
    return units.percent(
        _mean(row["top1"]), statistics.stdev(row["top1"]) if several else None
    )


def _mean(values):
    return statistics.mean(values) if isinstance(values, list) else values


def _judged(rows) -> Iterator[str]:
    """For each net and method, in what tfmot wins, and in what limbeck does."""
    by_way = {(row["net"], row["method"], row["engine"]): row for row in rows}
    for net, method, engine in by_way:
        if method == DENSE or engine == TFMOT:
            continue
        ours, theirs = by_way[net, method, LIMBECK], by_way[net, method, TFMOT]
        won = {TFMOT: [], LIMBECK: []}
        points, noise = _points(ours["top1"], theirs["top1"])
        if noise is not None and abs(points) > 2 * noise:
            winner = LIMBECK if points > 0 else TFMOT
            won[winner].append(f"top-1 by {abs(points):.2f} points")
        for key, (what, factor) in COSTS.items():
            ratio = _mean(ours[key]) / _mean(theirs[key])
            if max(ratio, 1 / ratio) >= factor:
                winner = LIMBECK if ratio < 1 else TFMOT
                won[winner].append(f"{what} {max(ratio, 1 / ratio):.2f} times")
        told = "; ".join(
            f"{engine} wins in {', '.join(wins)}"
            for engine, wins in won.items()
            if wins
        )
        beyond = "" if noise is None else f" ± {noise:.2f}"
        yield (
            f"{net}, {method}: limbeck's top-1 less tfmot's {points:+.2f}{beyond} "
            f"points; {told or 'neither wins'}."
        )


def _points(ours, theirs):
    """The mean difference by seed in percentage points, and its standard error."""
    apart = [100 * (a - b) for a, b in zip(ours, theirs, strict=True)]
    if len(apart) < 2:
        return apart[0], None
    return statistics.mean(apart), statistics.stdev(apart) / len(apart) ** 0.5


def _budget(result) -> Iterator[str]:
    shown = {row["net"] for row in result["results"]}
    cases = "; ".join(
        f"{net}: {case['images']} images of {case['data']}, {case['epochs']} epochs"
        for net, case in result["cases"].items()
        if net in shown
    )
    yield (
        f"{result['seeds']} seeds, each from one dense net. {cases}. AdamW, cosine "
        f"from 0.001; {compression.SPARSITY:.0%} zeros, limbeck's over all kernels "
        f"together, tfmot's in each alike; {compression.CLUSTERS} values of a kernel, "
        "k-means++; int8 as each has it. tfmot trains in tf_keras. A difference of "
        "top-1 counts beyond twice its standard error; an epoch is without validation, "
        "its median; memory is the most that the process had."
    )
