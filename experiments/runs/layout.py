"""Where everything lies in a run folder; no other file spells its paths.

    RUN/recipe.json          what was asked for
    RUN/environment.json     what it ran on, at last; each stage has its own
    RUN/data.json            the data as they were found
    RUN/stages.json          what each stage declares, for whoever reports
    RUN/rows.jsonl           one row of measurements a stage and seed
    RUN/stages/seed0/NAME    a finished stage, see `StageFolder`
    RUN/stages/once/NAME     likewise, of a stage that all seeds share
    RUN/report.html, .md

A stage works in `NAME.partial`, which becomes `NAME` when all is written: what is
there is whole. A training that was interrupted goes on from its checkpoint.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments import deployment

PARTIAL, MEASURE = ".partial", "measure"


@dataclass(frozen=True)
class StageFolder:
    """What a stage leaves: its model, its exported files, and facts about them."""

    path: Path

    @property
    def model(self) -> Path:
        return self.path / "model.keras"

    @property
    def history(self) -> Path:
        """Every logged value, one number an epoch."""
        return self.path / "history.json"

    def exported(self, format: str, precision: str) -> Path:
        """An export; `format` "litert" (a file) or "saved_model" (a folder)."""
        ending = {"litert": "tflite", "saved_model": "savedmodel"}[format]
        return self.path / f"model.{precision}.{ending}"

    @property
    def deploy(self) -> Path:
        """What whoever ships the files must know of input and output."""
        return self.path / deployment.NAME

    @property
    def about(self) -> Path:
        """What the stage's row holds beside the measurements."""
        return self.path / "about.json"

    @property
    def fingerprints(self) -> Path:
        """What the stage read and wrote, by content; see `fingerprints.py`."""
        return self.path / "fingerprints.json"

    @property
    def begun(self) -> Path:
        """What the stage was begun with, while it is not finished; see `begun.py`."""
        return self.path / "begun.json"

    @property
    def environment(self) -> Path:
        """What this stage ran on."""
        return self.path / "environment.json"

    @property
    def checkpoint(self) -> Path:
        """The training after its last whole epoch, while it is not finished."""
        return self.path / "checkpoint.npz"


@dataclass(frozen=True)
class MeasureFolder:
    """The measurements of one seed's finished stages."""

    path: Path

    @property
    def rows(self) -> Path:
        return self.path / "rows.json"

    @property
    def disagreements(self) -> Path:
        """Test images that a student sees unlike its teacher."""
        return self.path / "disagreements.npz"


@dataclass(frozen=True)
class RunFolder:
    """The paths of one run folder; nothing needs to be there."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @property
    def recipe(self) -> Path:
        return self.path / "recipe.json"

    @property
    def environment(self) -> Path:
        return self.path / "environment.json"

    @property
    def data(self) -> Path:
        return self.path / "data.json"

    @property
    def declared(self) -> Path:
        """What each stage declares: `Stage.declaration` by its name."""
        return self.path / "stages.json"

    @property
    def rows(self) -> Path:
        return self.path / "rows.jsonl"

    @property
    def page(self) -> Path:
        return self.path / "report.html"

    @property
    def markdown(self) -> Path:
        return self.path / "report.md"

    @property
    def lock(self) -> Path:
        return self.path / ".lock"

    def stage(self, name: str, seed: int, *, once: bool = False) -> StageFolder:
        """Of a finished stage; with `once`, of one that all seeds share."""
        home = "once" if once else f"seed{seed}"
        return StageFolder(self.path / "stages" / home / name)

    def measure(self, seed: int) -> MeasureFolder:
        return MeasureFolder(self.path / "stages" / f"seed{seed}" / MEASURE)

    def finished(self) -> set[str]:
        """Names of the stages that are finished for at least one seed."""
        homes = self.path.glob("stages/*/*/")
        return {home.name for home in homes if home.suffix != PARTIAL} - {MEASURE}

    def measured(self) -> list[MeasureFolder]:
        """Those of all seeds that have been measured."""
        found = sorted(self.path.glob(f"stages/seed*/{MEASURE}/rows.json"))
        return [MeasureFolder(path.parent) for path in found]

    def read_rows(self) -> list[dict[str, Any]]:
        """The rows of measurements.

        Raises:
            FileNotFoundError: nothing was measured yet, or this is no run folder.
            ValueError: a line is no row with a stage and a seed.
        """
        if not self.rows.is_file():
            raise FileNotFoundError(
                f"{self.path} is not a run folder, or its run has measured nothing "
                f"yet: there is no {self.rows.name}; `limbeck demo --out {self.path}` "
                "makes one"
            )
        found = []
        lines = self.rows.read_text(encoding="utf-8").splitlines()
        for at, text in enumerate(lines, start=1):
            if not text.strip():
                continue
            try:
                row = json.loads(text)
            except json.JSONDecodeError as error:
                raise ValueError(
                    f"{self.rows}, line {at} is not JSON: {error}"
                ) from error
            if not _is_row(row):
                raise ValueError(
                    f"{self.rows}, line {at} is no row with a stage and a seed"
                )
            found.append(row)
        return found


def partial(folder: Path) -> Path:
    """Where `folder` is written before it takes its place."""
    return folder.with_name(folder.name + PARTIAL)


def _is_row(row):
    return (
        isinstance(row, dict)
        and isinstance(row.get("stage"), str)
        and isinstance(row.get("seed"), int)
    )
