"""Committed records of runs, and the README's tables, which are views of them.

A record is one JSON a run and seed under `experiments/results/`. In a text, the lines
between `<!-- table: NAME -->` and `<!-- end -->` are made from the records of NAME.
"""

import json
import re
from pathlib import Path
from typing import Any

from compression.atomic import replacing
from experiments import report
from experiments.files import read_json, write_json

RESULTS = Path(__file__).parent / "recipes"
BLOCK = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def record(run: Path, results: Path = RESULTS) -> list[Path]:
    """Copy the records of a finished run: `NAME.seed0.json` and so on.

    NAME is the run folder's.

    Raises:
        FileNotFoundError: `run` is not a run folder.
    """
    if not (run / "rows.jsonl").exists():
        raise FileNotFoundError(f"{run} is no run folder: it has no rows.jsonl")
    text = (run / "rows.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    about = {
        name: read_json(run / f"{name}.json")
        for name in ("recipe", "environment", "data")
    }
    paths = []
    for seed in sorted({row["seed"] for row in rows}):
        path = results / f"{run.resolve().name}.seed{seed}.json"
        write_json(path, about | {"rows": [r for r in rows if r["seed"] == seed]})
        paths.append(path)
    return paths


def table(name: str, results: Path = RESULTS) -> str:
    """The table of the records called `name`, with the command that made them.

    Raises:
        FileNotFoundError: there is no such record.
        ValueError: the records come from different commands, commits or recipes.
    """
    paths = sorted(results.rglob(f"{name}.seed*.json"))
    if not paths:
        raise FileNotFoundError(f"no record of {name} in {results}")
    records = [read_json(path) for path in paths]
    command = _common(records, name, "environment", "command")
    commit = _common(records, name, "environment", "commit")
    device = _common(records, name, "environment", "device")
    cpu = _common(records, name, "environment", "cpu")
    note = _common(records, name, "data", "note")
    if any(r["recipe"] != records[0]["recipe"] for r in records):
        raise ValueError(f"the records of {name} come from different recipes")
    made = f"commit {commit[:10]}" if commit else "an unknown commit"
    rows = [row for r in records for row in r["rows"]]
    recipe = records[0]["recipe"].get("name")
    made_of_rows = report.markdown_table(rows, recipe=recipe, note=note)
    return f"`{command}`, {made}, {device} ({cpu}):\n\n{made_of_rows.strip()}\n"


def with_tables(text: str, results: Path = RESULTS) -> str:
    """`text` with every marked table made anew from the records."""
    return BLOCK.sub(lambda m: f"{m[1]}{table(m[2], results)}{m[3]}", text)


def update(path: Path, *, check: bool, results: Path = RESULTS) -> None:
    """Make the tables in the file `path` anew, or check that they are as made.

    Raises:
        ValueError: with `check`, a table differs from its records.
    """
    before = path.read_text(encoding="utf-8")
    after = with_tables(before, results)
    if check and before != after:
        raise ValueError(
            f"{path} differs from the records in {results}: run `limbeck table`"
        )
    if before != after:
        with replacing(path) as beside:
            beside.write_text(after, encoding="utf-8")


def _common(records: list[dict[str, Any]], name: str, part: str, key: str):
    values = {json.dumps(r[part].get(key)) for r in records}
    if len(values) != 1:
        raise ValueError(f"the records of {name} mix runs: {key} is {values}")
    return json.loads(values.pop())
