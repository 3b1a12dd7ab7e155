"""The figures of `limbeck bench distill` as a table, with its aims and its setting."""

from typing import Any

from experiments.benchmarks.nets_table import spread_in_words
from experiments.benchmarks.setting import in_words
from experiments.tables import table as rendering
from experiments.tables.table import Cell, Column, Table


def as_text(result: dict[str, Any], width: int = 110) -> str:
    """The result of `distill.run` as a table."""
    figures = ("images/s", "cost / student alone", "x Keras", "off by")
    columns = (Column("trained by", numeric=False), *map(Column, figures))
    rows = tuple(map(_row, result["results"]))
    table = Table("distill", columns, rows, tuple(_notes(result)))
    return rendering.as_text(table, width)


def _row(row):
    off = f"{row['difference']:.0e}" if "difference" in row else ""
    return (
        Cell(row["case"]),
        Cell(spread_in_words(row["images_per_second"])),
        Cell(spread_in_words(row["cost_of_student"], places=2)),
        Cell(spread_in_words(row.get("times_keras"), places=2)),
        Cell(off),
    )


def _notes(result):
    steps = result["steps"].values()
    for aim in result["aims"]:
        yield (
            f"{'Met' if aim['met'] else 'Not met'}: {aim['aim']} is "
            f"{spread_in_words(aim['ratio'], places=2)}, the aim is {aim['bound_is']} "
            f"{aim['bound']:g}."
        )
    yield (
        f"{result['teacher']} teaches {result['student']} "
        f"({result['student_weights']:,} weights, dropout 0.1), random images of 32 px "
        f"(their content does not change the time), {result['batch']} a step, SGD with "
        "momentum. Hints: stage 3 of both, averaged to 7x7, the student's projected by "
        "a 1x1 convolution. Keras's distiller has neither, so for it both nets have "
        "them as a branch; it is given loss=KLDivergence(), as its default is not "
        "Hinton's loss."
    )
    yield (
        "Keras's and our steps get their images through the recipes' tf.data pipeline, "
        "not augmented; cached: with the teacher's outputs for "
        f"{result['images']:,} images in float16, features in the memory map. PyTorch "
        "and the teacher's forward pass have one batch in place, which favours them."
    )
    yield from in_words(result["setting"])
    yield (
        f"Median [10th-90th percentile] of {result['rounds']} rounds in turns, "
        f"{min(steps)} steps a turn, or {max(steps)} where no teacher runs; "
        "ratios are taken round by round. x Keras: speed over that of "
        "keras.distillation, with hints if it has them. Off by: first "
        "loss without dropout from NumPy's, as a share of it."
    )
    for peer, why in result["skipped"].items():
        yield f"Left out: {peer}, {why}."
    if result["quick"]:
        yield "Quick: shows that everything runs; the speeds and aims mean nothing."
