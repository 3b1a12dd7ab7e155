"""The figures of `limbeck bench prune` as tables, with its aims and its setting."""

from typing import Any

from experiments.benchmarks import fit_steps_table, prune_files, prune_steps
from experiments.benchmarks.nets_table import spread_in_words
from experiments.benchmarks.setting import in_words
from experiments.tables import table as rendering
from experiments.tables import units
from experiments.tables.table import Cell, Column, Table, tabulate


def as_text(result: dict[str, Any], width: int = 110) -> str:
    """The result of `prune.run` as a table a part."""
    tables = []
    if "steps" in result:
        tables.append(_steps(result["steps"], result["rounds"]))
    if "cuts" in result:
        tables.append(_cuts(result))
    if "multiples" in result:
        tables.append(_multiples(result["multiples"], result["rounds"]))
    if "files" in result:
        tables.append(_files(result["files"]))
    last = tables.pop()
    notes = [*last.notes, *in_words(result["setting"])]
    if result["quick"]:
        notes.append("Quick: shows that everything runs; the figures mean nothing.")
    tables.append(Table(last.title, last.columns, last.cells, tuple(notes)))
    return "\n\n".join(
        f"{table.title}\n{rendering.as_text(table, width)}" for table in tables
    )


def _steps(part, rounds):
    columns = fit_steps_table.columns("dense")
    [ours] = [r for r in part["results"] if r["case"] == prune_steps.LIMBECK]
    cost, aim = ours["cost"]["median"], prune_steps.AIM
    notes = (
        f"{'Met' if cost <= aim else 'Not met'}: a step with masks costs "
        f"{cost:.3f} of a dense one, the aim is at most {aim:g}.",
        f"{part['net']}, {part['batch']} images a step, SGD with momentum, one update "
        f"of the masks in {part['steps']} steps; median [10th-90th percentile] of "
        f"{rounds} rounds in turns, ratios round by round.",
    )
    return tabulate("A training step", columns, part["results"], notes)


def _cuts(result):
    columns = (
        Column("net", lambda row: row["net"], numeric=False),
        Column("by", lambda row: row["tool"], numeric=False),
        Column("groups", lambda row: str(row["groups"])),
        Column("plan s", lambda row: _seconds(row.get("plan_seconds"))),
        Column("plan and cut s", lambda row: _seconds(row["seconds"])),
        Column("MACs left %", lambda row: units.percent(row["macs_left"])),
    )
    notes = [
        "Least L2 norm, global, half of the MACs; seconds of the fastest of three "
        "turns, Torch-Pruning's of one. Groups are counted as each tool defines them. "
        "Torch-Pruning takes a fraction of channels: it prunes on in small steps until "
        "the budget is met."
    ]
    notes += [f"Left out: {peer}, {why}." for peer, why in result["skipped"].items()]
    return tabulate("Channels of a whole net", columns, result["cuts"], notes)


def _multiples(part, rounds):
    columns = (
        Column("channels", lambda row: row["case"], numeric=False),
        Column("images/s", lambda row: spread_in_words(row["images_per_second"])),
        Column("step / whole", _cost),
        Column("MACs left %", lambda row: units.percent(row["macs_left"])),
    )
    notes = (
        f"{part['net']} cut to half of its MACs, least L2 norm, {part['batch']} images "
        f"a step; median [10th-90th percentile] of {rounds} rounds in turns, ratios "
        "round by round.",
    )
    return tabulate("A step of what was cut", columns, part["results"], notes)


def _cost(row):
    return spread_in_words(row["cost"], places=2) if "cost" in row else units.NOTHING


def _seconds(value):
    return units.NOTHING if value is None else f"{value:.2f}"


def _files(rows):
    columns = (
        Column("net", lambda row: row["net"], numeric=False),
        Column("form", lambda row: row["form"], numeric=False),
        Column("weights", lambda row: row["precision"], numeric=False),
        Column("threads", lambda row: str(row["threads"])),
        Column("MACs", lambda row: units.scaled(row["macs"])),
        Column("bytes", lambda row: units.scaled(row["bytes"], "B")),
        Column("zipped", lambda row: units.scaled(row["bytes_zipped"], "B")),
        Column("latency ms", lambda row: _latency(row["latency"])),
        Column("faster", lambda row: f"{row['faster']:.2f}x"),
        Column("of the MACs' ratio", _share),
    )
    return tabulate("Files in LiteRT, one image", columns, rows, tuple(_judged(rows)))


def _latency(latency):
    return units.latency(latency["median_ms"], latency["low_ms"], latency["high_ms"])


def _share(row) -> Cell | str:
    if row["fewer_macs"] == 1:
        return ""
    return f"{row['faster'] / row['fewer_macs']:.2f}"


def _judged(rows):
    cut = [row for row in rows if row["fewer_macs"] > 1]
    met = [r for r in cut if r["faster"] >= prune_files.AIM * r["fewer_macs"]]
    yield (
        f"Of {len(cut)} files with fewer channels {len(met)} are faster by at least "
        f"{prune_files.AIM:g} of their MACs' ratio, which is the aim."
    )
    yield "Random weights; latency: median [10th-90th percentile], all forms in turns."
