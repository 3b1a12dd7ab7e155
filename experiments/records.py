"""Committed records of runs, and the tables in texts, which are made from them.

A record is one JSON a run and seed, in the folder of the experiment:
`recipes/NAME/results/RUN.seed0.json`. In a text, the lines between
`<!-- table: RUN -->` and `<!-- end -->` are made from the records of RUN.
"""

import json
import re
from pathlib import Path
from typing import Any

from compression.atomic import replacing
from experiments import recipes, report
from experiments.files import read_json, read_text, write_json
from experiments.runs.contents import Record
from experiments.runs.fingerprints import rows_as_measured
from experiments.runs.layout import RunFolder

README = Path(__file__).resolve().parents[1] / "README.md"  # of a checkout
WAY_OUT = "restore it, or write it again with `limbeck table --record RUN`"
BLOCK = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def texts(root: Path = recipes.ROOT, readme: Path = README) -> list[Path]:
    """The texts that hold tables: README.md, then each experiment's own."""
    found = [root / name / "README.md" for name in recipes.EXPERIMENTS]
    return [path for path in (readme, *found) if path.is_file()]


def record(run: Path, root: Path = recipes.ROOT) -> list[Path]:
    """Copy a finished run's records into its experiment's folder; returns the files.

    They are called as the run folder is: `RUN.seed0.json` and so on.

    Args:
        run: the run folder.
        root: the folder of all experiments' folders.

    Raises:
        FileNotFoundError: `run` is not a run folder.
        ValueError: its recipe belongs to no experiment; lists them.
    """
    folder = RunFolder(run)
    rows = rows_as_measured(folder)
    about = {
        "recipe": folder.read_recipe(),
        "environment": folder.read_environment(),
        "data": folder.read_data(),
    }
    recipe = about["recipe"].get("name")
    experiment = recipes.experiment_of(recipe)
    if experiment is None:
        raise ValueError(
            f"{run} ran the recipe {recipe!r}, which belongs to no experiment; records "
            f"are kept of {', '.join(recipes.EXPERIMENTS)}"
        )
    paths = []
    for seed in sorted({row["seed"] for row in rows}):
        path = root / experiment / "results" / f"{folder.name}.seed{seed}.json"
        write_json(path, about | {"rows": [r for r in rows if r["seed"] == seed]})
        paths.append(path)
    return paths


def table(run: str, root: Path = recipes.ROOT) -> str:
    """The table of a run's records, with the command that made them.

    Args:
        run: name of the run folder that was recorded, such as "demo-mnist5k".
        root: the folder of all experiments' folders.

    Raises:
        FileNotFoundError: there is no such record.
        ValueError: a record is damaged; or the records come from different commands,
            commits or recipes.
    """
    paths = sorted(root.glob(f"*/results/{run}.seed*.json"))
    if not paths:
        raise FileNotFoundError(f"no record of {run} in {root}")
    records = [read_json(path, Record, way_out=WAY_OUT) for path in paths]
    command = _common(records, run, "environment", "command")
    commit = _common(records, run, "environment", "commit")
    device = _common(records, run, "environment", "device")
    cpu = _common(records, run, "environment", "cpu")
    note = _common(records, run, "data", "note")
    if any(r["recipe"] != records[0]["recipe"] for r in records):
        raise ValueError(f"the records of {run} come from different recipes")
    source = f"commit {commit[:10]}" if commit else "an unknown commit"
    rows = [row for r in records for row in r["rows"]]
    recipe = records[0]["recipe"].get("name")
    try:
        made = report.markdown_table(rows, recipe=recipe, note=note)
    except ValueError as error:
        raise ValueError(f"the records of {run} in {root}: {error}") from error
    return f"`{command}`, {source}, {device} ({cpu}):\n\n{made.strip()}\n"


def with_tables(text: str, root: Path = recipes.ROOT) -> str:
    """`text` with every marked table made again from the records."""
    return BLOCK.sub(lambda m: f"{m[1]}{table(m[2], root)}{m[3]}", text)


def update(path: Path, *, check: bool, root: Path = recipes.ROOT) -> None:
    """Make the tables of the text `path` again, or check that they are up to date.

    Raises:
        ValueError: with `check`, a table differs from its records.
    """
    before = read_text(path)
    after = with_tables(before, root)
    if check and before != after:
        raise ValueError(
            f"{path} differs from the records in {root}: run `limbeck table`"
        )
    if before != after:
        with replacing(path) as beside:
            beside.write_text(after, encoding="utf-8")


def _common(records: list[dict[str, Any]], run: str, part: str, key: str):
    values = {json.dumps(r[part].get(key)) for r in records}
    if len(values) != 1:
        raise ValueError(f"the records of {run} mix runs: {key} is {values}")
    return json.loads(values.pop())
