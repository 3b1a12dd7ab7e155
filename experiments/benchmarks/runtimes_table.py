"""The figures of `limbeck bench runtimes` as a table, and what is worth knowing."""

from typing import Any

from experiments.benchmarks import runtimes
from experiments.benchmarks.nets_table import spread_in_words
from experiments.tables import table as rendering
from experiments.tables import units
from experiments.tables.table import Column, tabulate

SLOWER = 0.97  # below this ratio it is no noise of a median
SMALL = (f"{runtimes.LITERT} float16", f"{runtimes.LITERT} dynamic")


def as_text(result: dict[str, Any], width: int = 110) -> str:
    """The result of `runtimes.run` as a table."""
    columns = (
        Column("net", lambda row: row["net"], numeric=False),
        Column("runtime", lambda row: row["runtime"], numeric=False),
        Column("threads", lambda row: str(row["threads"])),
        Column("bytes", lambda row: units.scaled(row["bytes"], "B")),
        Column("latency ms", lambda row: _latency(row["latency_ms"])),
        Column("faster than LiteRT float32", lambda row: _ratio(row, "times_float32")),
        Column("than 1 thread", lambda row: _ratio(row, "times_one_thread")),
    )
    rows = result["results"]
    table = tabulate("", columns, rows, _notes(result))
    return f"One image in each runtime\n{rendering.as_text(table, width)}"


def _latency(spread):
    return units.latency(spread["median"], spread["low"], spread["high"])


def _ratio(row, key):
    return spread_in_words(row[key], places=2) if key in row else ""


def _notes(result):
    rows = result["results"]
    yield _fastest(rows)
    yield _listed(
        "Two threads are slower than one",
        [row for row in rows if _median(row, "times_one_thread") < SLOWER],
        "times_one_thread",
    )
    yield _listed(
        "Slower than float32",
        [
            row
            for row in rows
            if row["runtime"] in SMALL and _median(row, "times_float32") < SLOWER
        ],
        "times_float32",
    )
    for peer, why in result["skipped"].items():
        yield f"Left out: {peer}, {why}."
    setting = result["setting"]
    versions = ", ".join(f"{k} {v}" for k, v in setting["versions"].items())
    yield (
        f"One image of 32 px, random weights; median [10th-90th percentile] of "
        f"{result['rounds']} rounds, all runtimes in turns; ratios round by round. "
        "Integer files of LiteRT are given floats and give floats here. Keras runs in "
        "processes of its own, one for each number of threads."
    )
    yield (
        f"{setting['cores']} cores, load {setting['load_average']:.1f} at the start; "
        f"{versions}."
    )
    if result["quick"]:
        yield "Quick: shows that everything runs; the figures mean nothing."


def _median(row, key):
    return row[key]["median"] if key in row else 1.0


def _fastest(rows):
    """Whether our int8 file is the fastest of a net, which is the aim."""
    met, missed = [], []
    for net in dict.fromkeys(row["net"] for row in rows):
        for threads in runtimes.THREADS:
            ours = [r for r in rows if (r["net"], r["threads"]) == (net, threads)]
            best = min(ours, key=lambda row: row["latency_ms"]["median"])
            if best["runtime"] == runtimes.OURS:
                met.append(net)
            else:
                missed.append(f"{net} on {threads} ({best['runtime']} is)")
    total = len(met) + len(missed)
    but = f", but not of {', '.join(missed)}" if missed else ""
    return (
        f"LiteRT int8 is the fastest in {len(met)} of {total} cases, which is the "
        f"aim{but}."
    )


def _listed(what, rows, key):
    if not rows:
        return f"{what}: nowhere."
    named = (
        f"{row['net']} in {row['runtime']} on {row['threads']} "
        f"({row[key]['median']:.2f}x)"
        for row in rows
    )
    return f"{what}: {', '.join(named)}."
