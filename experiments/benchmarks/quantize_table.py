"""The figures of `limbeck bench quantize` as a table, with its aim and its setting."""

from typing import Any

from experiments.benchmarks import fit_steps_table, quantize
from experiments.benchmarks.setting import in_words
from experiments.tables import table as rendering
from experiments.tables.table import Column, tabulate

OURS = next(iter(quantize.OURS))


def as_text(result: dict[str, Any], width: int = 110) -> str:
    """The result of `quantize.run` as a table."""
    columns = (
        Column("net", lambda row: row["net"], numeric=False),
        *fit_steps_table.columns("plain"),
    )
    notes = [
        *_judged(result["results"]),
        f"{result['batch']} images a step, SGD with momentum, "
        f"{result['steps']} steps a turn; median [10th-90th percentile] of "
        f"{result['rounds']} rounds in turns, "
        "ratios round by round, to plain training in the same framework.",
        *in_words(result["setting"]),
    ]
    if result["quick"]:
        notes.append("Quick: shows that everything runs; the figures mean nothing.")
    table = tabulate(
        "A step of quantization-aware training", columns, result["results"], notes
    )
    return f"{table.title}\n{rendering.as_text(table, width)}"


def _judged(rows):
    """For each net, our cost beside tfmot's."""
    costs = {(r["net"], r["case"]): r["cost"]["median"] for r in rows if "cost" in r}
    for net in dict.fromkeys(row["net"] for row in rows):
        ours, theirs = costs[net, OURS], costs[net, quantize.TFMOT]
        yield (
            f"{net}: a step costs {ours:.2f} of a plain one, tfmot's {theirs:.2f}: "
            f"{'no dearer' if ours <= theirs else 'dearer'}."
        )
