"""What a run folder holds, read and checked; what is missing is listed in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from experiments.arrays import read_arrays
from experiments.report import measured
from experiments.report.comparison import teacher_of
from experiments.report.measured import Measured
from experiments.report.papers import paper_of
from experiments.runs import former
from experiments.runs.fingerprints import is_as_written, rows_as_measured
from experiments.runs.layout import RunFolder
from experiments.tables.summary import (
    Summary,
    file_summaries,
    number,
    stage_summaries,
)

History = Mapping[str, list[float]]


@dataclass(frozen=True)
class Disagreements:
    """Test images that two stages' models classify differently.

    Attributes:
        images: (k, height, width, channels) uint8.
        labels: (k,) true classes.
        teacher, student: (k, classes) probabilities.
        index: (k,) positions in the test split.
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
    """A run folder: its records, and in `gaps` what was expected and is not there.

    Attributes:
        declared: what each stage declares, see `experiments.runs.layout`.
        histories: of each stage, by seed.
        found: what a search has tried; None: this run was no search.
        measured: what was kept of the measurements beside the rows.
    """

    path: Path
    recipe: Mapping[str, Any]
    declared: Mapping[str, Mapping[str, Any]]
    environment: Mapping[str, Any]
    data: Mapping[str, Any]
    summaries: tuple[Summary, ...]
    histories: Mapping[str, Mapping[int, History]]
    disagreements: Disagreements | None
    gaps: tuple[str, ...]
    found: Mapping[str, Any] | None = None
    measured: Measured = Measured()

    @property
    def title(self) -> str:
        return f"{self.recipe.get('name', self.path.name)} on {self.data_name}"

    @property
    def data_name(self) -> str:
        return str(self.data.get("name") or self.recipe.get("data") or "unknown data")

    @property
    def paper(self) -> ModuleType | None:
        """The module with the tables and pictures of this run's experiment."""
        return paper_of(self.recipe.get("name"), self.summaries)

    def class_names(self, count: int) -> list[str]:
        """Of the first `count` classes; those without a name are numbered."""
        names = self.data.get("class_names") or []
        return [str(names[i]) if i < len(names) else f"class {i}" for i in range(count)]

    @property
    def command(self) -> str:
        return str(self.environment.get("command") or "")

    @property
    def seeds(self) -> list[int]:
        return sorted({seed for summary in self.summaries for seed in summary.seeds})

    @property
    def teacher(self) -> Summary | None:
        """The first stage that is declared a teacher, or else the first measured."""
        measured = [n for n, s in self.declared.items() if s.get("measured", True)]
        names = [*_teachers(self.declared), *measured]
        return teacher_of(self.summaries, next(iter(names), None))

    @cached_property
    def files(self) -> list[Summary]:
        return file_summaries(self.summaries)

    def settings(self, stage: str) -> Mapping[str, Any]:
        """The stage's settings in the recipe."""
        for settings in self.recipe.get("stages", []):
            if settings.get("name") == stage:
                return settings
        return {}

    def declared_by(self, stage: str) -> Mapping[str, Any]:
        """What the stage declares of itself."""
        return self.declared.get(stage, {})

    def before(self, summary: Summary) -> Summary | None:
        """The stage whose model this one started from."""
        start = self.declared_by(summary.stage).get("start")
        return None if start is None else teacher_of(self.summaries, start)


def read(path: Path) -> Run:
    """Read a run folder.

    Raises:
        FileNotFoundError: it is none; the message names the command that makes one.
        ValueError: a record is not JSON, a stage's rows mix nets or data, or are not
            what was measured.
    """
    folder, gaps = RunFolder(path), []
    rows = rows_as_measured(folder)
    recipe = _record(folder.recipe, folder.read_recipe, gaps)
    environment = _record(folder.environment, folder.read_environment, gaps)
    data = _record(folder.data, folder.read_data, gaps)
    declared = _declared(folder, recipe)
    try:
        summaries = stage_summaries(rows, order=list(declared))
    except ValueError as error:
        raise ValueError(f"{folder.rows}: {error}") from error
    finished = [summary.stage for summary in summaries]
    gaps += [
        f"stage {name} is not finished"
        for name, stage in declared.items()
        if stage.get("measured", True) and name not in finished
    ]
    seeds = sorted({row["seed"] for row in rows})
    for summary in summaries:
        lacking = [str(seed) for seed in seeds if seed not in summary.seeds]
        if lacking and not summary.about("once"):
            gaps.append(
                f"stage {summary.stage} has no row of seed {', '.join(lacking)}"
            )
    beside = measured.read(folder, seeds, gaps)
    histories = {s.stage: _histories(folder, s, gaps) for s in summaries}
    expected = not declared or _teachers(declared)
    return Run(
        path=path,
        recipe=recipe,
        declared=declared,
        environment=environment,
        data=data,
        summaries=tuple(summaries),
        histories=histories,
        disagreements=_disagreements(folder, seeds, gaps if expected else []),
        gaps=tuple(gaps),
        found=folder.search.read_found() if folder.search.found.is_file() else None,
        measured=beside,
    )


def _declared(folder, recipe):
    """`stages.json`; of an older run, the same from its recipe."""
    if not folder.declared.is_file():
        return former.declarations(recipe)
    return folder.read_declared()


def _teachers(declared):
    """The stages that are declared teachers of others."""
    return [s["teacher"] for s in declared.values() if s.get("teacher")]


def _record(path, read, gaps):
    if not path.is_file():
        gaps.append(f"{path.name} is missing")
        return {}
    return read()


def _histories(folder, summary, gaps):
    """History by seed. A stage that trained for some epochs must have one."""
    found = {}
    for row in summary.rows:
        once = bool(row.get("once"))
        home = folder.stage(summary.stage, row["seed"], once=once)
        which = f"training history of stage {summary.stage}, seed {row['seed']}"
        if not home.history.is_file():
            if row.get("epochs"):
                gaps.append(f"no {which}")
            continue
        try:
            if not is_as_written(home, home.history):
                gaps.append(f"altered {which}, which is left out")
                continue
            found[row["seed"]] = {
                key: [np.nan if number(v) is None else v for v in values]
                for key, values in home.read_history().items()
            }
        except ValueError:
            gaps.append(f"unreadable {which}")
    return found


def _disagreements(folder, seeds, gaps):
    """Those of the first seed that has any."""
    empty = False
    for seed in seeds:
        file = folder.measure(seed).disagreements
        if not file.is_file():
            continue
        try:
            found = _stored_disagreements(read_arrays(file), seed)
        except (ValueError, KeyError):
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


def _stored_disagreements(stored, seed):
    found = Disagreements(
        **{key: stored[key] for key in ("images", "labels", "index")},
        **{key: stored[key] for key in ("teacher", "student")},
        teacher_stage=str(stored["teacher_stage"]),
        student_stage=str(stored["student_stage"]),
        seed=seed,
    )
    images, classes = len(found.images), found.teacher.shape[-1:]
    fits = (
        found.images.dtype == np.uint8
        and found.images.ndim == 4
        and 0 not in found.images.shape[1:]
        and found.teacher.shape == found.student.shape == (images, *classes)
        and found.teacher.dtype.kind == found.student.dtype.kind == "f"
        and found.labels.shape == found.index.shape == (images,)
        and found.labels.dtype.kind in "iu"
        and found.index.dtype.kind in "iu"
        and bool((found.labels >= 0).all() and (found.labels < classes[0]).all())
    )
    if not fits:
        raise ValueError("arrays of other shapes or types than a run writes")
    return found
