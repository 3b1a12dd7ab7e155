"""What a run folder holds, read and checked; what is missing is said, in words."""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from experiments.files import read_json
from experiments.report.comparison import teacher_of
from experiments.report.papers import paper_of
from experiments.tables.summary import Line, Row, file_lines, number, stage_lines

History = Mapping[str, list[float]]


@dataclass(frozen=True)
class Disagreements:
    """Test images of which two stages' models think differently.

    Attributes:
        images: (k, height, width, channels) uint8.
        labels: (k,) true classes.
        teacher, student: (k, classes) probabilities.
        index: (k,) places in the test split.
        teacher_stage, student_stage: whose models.
        seed: of the run that they come from.
    """

    images: np.ndarray
    labels: np.ndarray
    teacher: np.ndarray
    student: np.ndarray
    index: np.ndarray
    teacher_stage: str
    student_stage: str
    seed: int


@dataclass(frozen=True)
class Run:
    """A run folder: its records, and in `gaps` what was expected and is not there."""

    path: Path
    recipe: Mapping[str, Any]
    environment: Mapping[str, Any]
    data: Mapping[str, Any]
    lines: tuple[Line, ...]
    histories: Mapping[str, Mapping[int, History]]
    disagreements: Disagreements | None
    gaps: tuple[str, ...]

    @property
    def title(self) -> str:
        return f"{self.recipe.get('name', self.path.name)} on {self.data_name}"

    @property
    def data_name(self) -> str:
        return str(self.data.get("name") or self.recipe.get("data") or "unknown data")

    @property
    def paper(self) -> ModuleType | None:
        """What has the tables and pictures of the paper that this run repeats."""
        return paper_of(self.recipe.get("name"), self.lines)

    @property
    def command(self) -> str:
        return str(self.environment.get("command") or "")

    @property
    def seeds(self) -> list[int]:
        return sorted({seed for line in self.lines for seed in line.seeds})

    @property
    def teacher(self) -> Line | None:
        """The stage that others name as their teacher, or the first of the recipe."""
        stages = self.recipe.get("stages", [])
        named = [stage["teacher"] for stage in stages if stage.get("teacher")]
        first = [stage.get("name") for stage in stages]
        return teacher_of(self.lines, next(iter(named + first), None))

    @cached_property
    def files(self) -> list[Line]:
        return file_lines(self.lines)

    def settings(self, stage: str) -> Mapping[str, Any]:
        """What the recipe says of the stage."""
        for settings in self.recipe.get("stages", []):
            if settings.get("name") == stage:
                return settings
        return {}

    def before(self, line: Line) -> Line | None:
        """The stage whose model this one started from."""
        start = self.settings(line.stage).get("start")
        return None if start is None else teacher_of(self.lines, start)


def read(path: Path) -> Run:
    """Read a run folder.

    Raises:
        FileNotFoundError: it is none; says how to make one.
        ValueError: a record is not JSON, or a stage's rows mix nets or data.
    """
    gaps: list[str] = []
    rows = _rows(path / "rows.jsonl")
    recipe, environment, data = (
        _record(path / f"{name}.json", gaps)
        for name in ("recipe", "environment", "data")
    )
    order = [stage.get("name") for stage in recipe.get("stages", [])]
    lines = stage_lines(rows, order)
    taught = not recipe or any("teacher" in s for s in recipe.get("stages", []))
    finished = [line.stage for line in lines]
    gaps += [f"stage {name} is not finished" for name in order if name not in finished]
    seeds = sorted({row["seed"] for row in rows})
    for line in lines:
        lacking = [str(seed) for seed in seeds if seed not in line.seeds]
        if lacking and not line.about("once"):
            gaps.append(f"stage {line.stage} has no row of seed {', '.join(lacking)}")
    return Run(
        path=path,
        recipe=recipe,
        environment=environment,
        data=data,
        lines=tuple(lines),
        histories={line.stage: _histories(path, line, gaps) for line in lines},
        disagreements=_disagreements(path, seeds, gaps if taught else []),
        gaps=tuple(gaps),
    )


def _rows(path) -> list[Row]:
    if not path.is_file():
        raise FileNotFoundError(
            f"{path.parent} is not a run folder, or its run has measured nothing yet: "
            f"there is no {path.name}; `limbeck demo --out {path.parent}` makes one"
        )
    rows = []
    for at, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}, line {at} is not JSON: {error}") from error
        if not _is_row(row):
            raise ValueError(f"{path}, line {at} is no row with a stage and a seed")
        rows.append(row)
    return rows


def _is_row(row):
    return (
        isinstance(row, dict)
        and isinstance(row.get("stage"), str)
        and isinstance(row.get("seed"), int)
    )


def _record(path, gaps):
    if not path.is_file():
        gaps.append(f"{path.name} is missing")
        return {}
    record = read_json(path)
    if not isinstance(record, dict):
        raise ValueError(f"{path} holds no JSON object")
    return record


def _histories(path, line, gaps):
    """History by seed. A stage that trained for some epochs must have one."""
    found = {}
    for row in line.rows:
        home = "once" if row.get("once") else f"seed{row['seed']}"
        file = path / "stages" / home / line.stage / "history.json"
        where = f"training history of stage {line.stage}, seed {row['seed']}"
        if not file.is_file():
            if row.get("epochs"):
                gaps.append(f"no {where}")
            continue
        try:
            history = read_json(file)
            found[row["seed"]] = {
                key: [np.nan if number(v) is None else v for v in values]
                for key, values in history.items()
                if isinstance(values, list)
            }
        except (ValueError, AttributeError):
            gaps.append(f"unreadable {where}")
    return found


def _disagreements(path, seeds, gaps):
    """Those of the first seed that has any."""
    empty = False
    for seed in seeds:
        file = path / "stages" / f"seed{seed}" / "measure" / "disagreements.npz"
        if not file.is_file():
            continue
        try:
            with np.load(file, allow_pickle=False) as stored:
                found = Disagreements(
                    **{key: stored[key] for key in ("images", "labels", "index")},
                    **{key: stored[key] for key in ("teacher", "student")},
                    teacher_stage=str(stored["teacher_stage"]),
                    student_stage=str(stored["student_stage"]),
                    seed=seed,
                )
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile):
            gaps.append(f"unreadable images of disagreement of seed {seed}")
            continue
        if len(found.images):
            return found
        empty = True
    if empty:
        gaps.append("teacher and student agree on every test image")
    else:
        gaps.append("no images on which teacher and student disagree were kept")
    return None
