"""The rows of all seeds, gathered from their measurements."""

import json

from compression.atomic import replacing
from experiments.recipe import Recipe
from experiments.runs.fingerprints import require_as_written
from experiments.runs.layout import RunFolder


def gathered(recipe: Recipe, folder: RunFolder) -> str:
    """What rows.jsonl shall hold: also seeds that an earlier call has run.

    Raises:
        ValueError: a measurement has changed since, or is of another recipe.
    """
    order = [stage.name for stage in recipe.stages]
    found = []
    for measured in folder.measured():
        require_as_written(measured)
        rows = measured.read_rows()
        strange = [row["stage"] for row in rows if row["stage"] not in order]
        if strange:
            raise ValueError(
                f"{measured.rows} has a row of {strange[0]!r}, which is no stage of "
                f"this recipe; delete the folder {measured.path} to measure again"
            )
        found += rows
    found.sort(key=lambda row: (row["seed"], order.index(row["stage"])))
    return "".join(json.dumps(row) + "\n" for row in found)


def write_rows(recipe: Recipe, folder: RunFolder) -> None:
    """Write rows.jsonl; errors are those of `gathered`."""
    text = gathered(recipe, folder)
    with replacing(folder.rows) as beside:
        beside.write_text(text)
