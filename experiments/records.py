"""Committed records of runs, and what texts show of them: tables and pictures.

A record is one JSON a run and seed, in the folder of the experiment:
`recipes/NAME/results/RUN.seed0.json`. In a text, the lines between
`<!-- table: RUN -->` and `<!-- end -->` are made from the records of RUN, and so are
those after `<!-- pictures: RUN -->`, whose files lie beside the records.
"""

import json
import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compression.atomic import replacing
from experiments import recipes, report
from experiments.files import read_json, read_text, write_json
from experiments.runs.contents import Record
from experiments.runs.fingerprints import rows_as_measured
from experiments.runs.layout import RunFolder
from experiments.tables import svg
from experiments.tables.table import escape_markdown

README = Path(__file__).resolve().parents[1] / "README.md"  # of a checkout
WAY_OUT = "restore it, or write it again with `limbeck table --record RUN`"
BLOCK = re.compile(
    r"(<!-- (table|pictures): ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL
)


@dataclass(frozen=True)
class Picture:
    """A picture of a run's records.

    Attributes:
        path: where it belongs, beside the records.
        content: an SVG document.
        alt: what it shows, in words and figures.
    """

    path: Path
    content: str
    alt: str


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
    _, records = _read(run, root)
    command = _common(records, run, "environment", "command")
    commit = _common(records, run, "environment", "commit")
    device = _common(records, run, "environment", "device")
    cpu = _common(records, run, "environment", "cpu")
    note = _common(records, run, "data", "note")
    source = f"commit {commit[:10]}" if commit else "an unknown commit"
    recipe = records[0]["recipe"].get("name")
    with _naming(run, root):
        made = report.markdown_table(_rows(records), recipe=recipe, note=note)
    return f"`{command}`, {source}, {device} ({cpu}):\n\n{made.strip()}\n"


def pictures(run: str, root: Path = recipes.ROOT) -> list[Picture]:
    """The pictures of a run's records, not yet written.

    Args:
        run: name of the run folder that was recorded.
        root: the folder of all experiments' folders.

    Raises:
        FileNotFoundError: there is no such record.
        ValueError: a record is damaged; the records come from different recipes; or
            there is nothing to draw.
    """
    folder, records = _read(run, root)
    with _naming(run, root):
        drawn = report.pictures(_rows(records), records[0]["recipe"].get("name"))
    if not drawn:
        raise ValueError(f"there is no picture of the records of {run}")
    return [
        Picture(folder / f"{run}.{i}.svg", svg.document(one), svg.alt_of(one))
        for i, one in enumerate(drawn, start=1)
    ]


def update(path: Path, *, check: bool, root: Path = recipes.ROOT) -> None:
    """Make what the text `path` shows of records again, or check that it is up to date.

    Of pictures what they say is checked, and that they are there: how they are drawn
    depends on the fonts of a machine.

    Raises:
        FileNotFoundError: there is no record; or with `check`, no picture.
        ValueError: with `check`, a table differs from its records.
    """
    before, drawn = read_text(path), []

    def made(match):
        begin, what, run, end = match.groups()
        if what == "table":
            return f"{begin}{table(run, root)}{end}"
        found = pictures(run, root)
        drawn.extend(found)
        return begin + "".join(_shown(each, path.parent) for each in found) + end

    after = BLOCK.sub(made, before)
    if check and before != after:
        raise ValueError(
            f"{path} differs from the records in {root}: run `limbeck table`"
        )
    for picture in drawn:
        if not check:
            _write(picture.path, picture.content)
        elif not picture.path.is_file():
            raise FileNotFoundError(
                f"{path} shows {picture.path}, which is not there: run `limbeck table`"
            )
    if before != after:
        _write(path, after)


def _shown(picture, folder):
    place = Path(os.path.relpath(picture.path.resolve(), folder.resolve())).as_posix()
    return f"![{escape_markdown(picture.alt)}]({place})\n"


def _write(path, text):
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")


def _read(run, root):
    """The folder and the content of a run's records, which are of one recipe."""
    paths = sorted(root.glob(f"*/results/{run}.seed*.json"))
    if not paths:
        raise FileNotFoundError(f"no record of {run} in {root}")
    records = [read_json(path, Record, way_out=WAY_OUT) for path in paths]
    if any(r["recipe"] != records[0]["recipe"] for r in records):
        raise ValueError(f"the records of {run} come from different recipes")
    return paths[0].parent, records


def _rows(records):
    return [row for r in records for row in r["rows"]]


@contextmanager
def _naming(run, root):
    """Says whose rows are refused."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"the records of {run} in {root}: {error}") from error


def _common(records: list[dict[str, Any]], run: str, part: str, key: str):
    values = {json.dumps(r[part].get(key)) for r in records}
    if len(values) != 1:
        raise ValueError(f"the records of {run} mix runs: {key} is {values}")
    return json.loads(values.pop())
