"""The figures of `limbeck bench nets` as a table, with what they were measured on."""

from typing import Any

from experiments.benchmarks.setting import in_words
from experiments.tables import table as rendering
from experiments.tables.table import Cell, Column, Table
from experiments.tables.units import NOTHING, decimals


def as_text(result: dict[str, Any], width: int = 110) -> str:
    """The result of `nets.run` as a table."""
    words = [Column(heading, numeric=False) for heading in ("net", "task", "peer")]
    figures = map(Column, ("images/s", "x PyTorch", "x plain Keras", "off by"))
    rows = [row for case in result["results"] for row in _rows(case)]
    table = Table("nets", (*words, *figures), tuple(rows), tuple(_notes(result)))
    return rendering.as_text(table, width)


def _rows(case):
    task = f"{case['task']}, {case['batch']} x {case['side']} px"
    for at, peer in enumerate(case["peers"]):
        off = f"{peer['difference']:.0e}" if "difference" in peer else ""
        yield (
            Cell(case["net"] if at == 0 else ""),
            Cell(task if at == 0 else ""),
            Cell(peer["peer"]),
            Cell(spread_in_words(peer["images_per_second"])),
            Cell(spread_in_words(peer.get("times_pytorch"), places=2)),
            Cell(spread_in_words(peer.get("times_plain_keras"), places=2)),
            Cell(off),
        )


def spread_in_words(spread: dict[str, float] | None, places: int | None = None) -> str:
    """Such as 12.3 [11.9-12.8]; a dash where there is none."""
    if spread is None:
        return NOTHING
    places = decimals(spread["median"]) if places is None else places
    texts = {key: f"{spread[key]:,.{places}f}" for key in ("median", "low", "high")}
    return f"{texts['median']} [{texts['low']}-{texts['high']}]"


def _notes(result):
    yield from in_words(result["setting"])
    yield (
        f"Median [10th-90th percentile] of {result['rounds']} rounds in turns; ratios "
        "are taken round by round, above 1 is faster. Off by: largest difference of "
        "the logits and of the first loss from limbeck's, over the largest of them."
    )
    for case in result["results"]:
        if best := case.get("fastest"):
            ours, theirs = best["limbeck"], best["PyTorch"]
            times = spread_in_words(best["times"], places=2)
            yield f"{case['net']}, fastest of each: {ours} is {times} times {theirs}."
    for peer, why in result["skipped"].items():
        yield f"Left out: {peer}, {why}."
    if result["quick"]:
        yield "Quick: tiny images show that everything runs; the speeds mean nothing."
