"""The figures of `limbeck bench input` as a table, with its aims and its setting."""

from typing import Any

from experiments.benchmarks import input as benchmark
from experiments.benchmarks.nets_table import spread_in_words
from experiments.benchmarks.setting import in_words
from experiments.tables import table as rendering
from experiments.tables.table import Column, tabulate

LEAST_SPEED, LEAST_SHARE = 2.0, 0.95


def as_text(result: dict[str, Any], width: int = 110) -> str:
    """The result of `input.run` as a table."""
    columns = (
        Column("images", lambda row: row["images"], numeric=False),
        Column("", lambda row: row["case"], numeric=False),
        Column("images/s", lambda row: spread_in_words(row["images_per_second"])),
        Column("time / limbeck's or / a batch that is there", _cost),
    )
    notes = [
        *_judged(result["results"]),
        f"Batches of {result['batch']}; photos at {result['size']} px; steps of "
        f"ResNet-20 with {2 * result['batch']} images, SGD with momentum; median "
        f"[10th-90th percentile] of {result['rounds']} rounds in turns, ratios round "
        f"by round. The DataLoader has {result['setting']['workers']} workers. "
        "Keras's loader does less: it cuts no window.",
        *in_words(result["setting"]),
    ]
    if result["absent"]:
        notes.append(f"No DataLoader: {result['absent']}.")
    if result["quick"]:
        notes.append("Quick: shows that everything runs; the figures mean nothing.")
    table = tabulate("Images on their way", columns, result["results"], notes)
    return f"{table.title}\n{rendering.as_text(table, width)}"


def _cost(row):
    return spread_in_words(row["cost"], places=2) if "cost" in row else ""


def _judged(rows):
    """Each aim, and whether it was met."""
    for row in rows:
        if "cost" not in row:
            continue
        cost = row["cost"]["median"]
        if row["case"] == benchmark.TORCH:
            met = "met" if cost >= LEAST_SPEED else "missed"
            yield (
                f"{row['images']}: {cost:.2f} times as fast as the DataLoader; aim "
                f"{LEAST_SPEED:g}: {met}."
            )
        if row["case"] == benchmark.WITH_INPUT:
            met = "met" if 1 / cost >= LEAST_SHARE else "missed"
            yield (
                f"A step with input: {1 / cost:.2f} of the speed without; aim "
                f"{LEAST_SHARE:g}: {met}."
            )
