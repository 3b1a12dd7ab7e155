"""Where everything lies in a run folder; no other file spells its paths.

    RUN/recipe.json          what was asked for
    RUN/order.json           for which seeds, with which command; see `order.py`
    RUN/environment.json     what it ran on, at last; each stage has its own
    RUN/data.json            the data as they were found
    RUN/stages.json          what each stage declares, for whoever reports
    RUN/rows.jsonl           one row of measurements a stage and seed
    RUN/stages/seed0/NAME    a finished stage, see `StageFolder`
    RUN/stages/once/NAME     likewise, of a stage that all seeds share
    RUN/claims               who is at what meanwhile, see `claims.py`
    RUN/search               what `limbeck compress` tried, see `SearchFolder`
    RUN/report.html, .md

A stage works in `NAME.partial`, which becomes `NAME` when all is written: what is
there is whole. A training that was interrupted goes on from its checkpoint. Where it
has failed, `NAME.error.json` says how.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments import whose
from experiments.files import from_json, read_json, read_text
from experiments.runs import contents

PARTIAL, MEASURE = ".partial", "measure"
# What to do with a file that cannot be read.
MADE_AGAIN = "delete it and run the same command again, which writes it"
KEPT = "restore it, or run again with another --out"

ENDINGS = {"litert": "tflite", "saved_model": "savedmodel", "archive": "limbeck"}


@dataclass(frozen=True)
class StageFolder:
    """What a stage leaves: its model, its exported files, and facts about them."""

    path: Path
    author = "its stage"  # of the files, in messages

    @property
    def way_out(self) -> str:
        return f"delete the folder {self.path} to run that stage again"

    @property
    def model(self) -> Path:
        return self.path / "model.keras"

    @property
    def history(self) -> Path:
        """Every logged value, one number an epoch."""
        return self.path / "history.json"

    @property
    def plan(self) -> Path:
        """Which channels of which layers were kept, of a stage that removes some."""
        return self.path / "plan.json"

    def exported(self, format: str, precision: str) -> Path:
        """An export; `format` as `Export` has it."""
        ending = ENDINGS[format]
        return self.path / f"model.{precision}.{ending}"

    @property
    def deploy(self) -> Path:
        """What whoever ships the files must know of input and output."""
        return self.path / whose.NAME

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
    def error(self) -> Path:
        """How the stage has failed, until it is finished; see `failures.py`."""
        return _error(self.path)

    def checkpoint(self, part: int = 0) -> Path:
        """The training after its last whole epoch, while the stage is not finished.

        A stage may train in several parts, numbered from 0.
        """
        return self.path / f"checkpoint{part or ''}.npz"

    @property
    def early(self) -> Path:
        """Weights that later parts go back to, while the stage is not finished."""
        return self.path / "checkpoint_early.npz"

    def checkpoints(self) -> list[Path]:
        """Those that are there."""
        return sorted(self.path.glob("checkpoint*.npz"))

    def only_while_unfinished(self) -> list[Path]:
        """What is there and goes once the stage has taken its place."""
        return self.checkpoints() + ([self.begun] if self.begun.exists() else [])

    @property
    def precision(self) -> Path:
        """The precision that a training stage found to be faster, if it measured."""
        return self.path / "precision.json"

    def read_about(self) -> dict[str, Any]:
        """What the stage's row holds beside the measurements.

        Raises:
            ValueError: the file cannot be read; names it and the way out.
        """
        return read_json(self.about, contents.About, way_out=self.way_out)

    def read_fingerprints(self) -> dict[str, dict[str, str]]:
        """The fingerprints of what it "read" and "wrote"; none of older versions.

        Raises:
            ValueError: the file cannot be read; names it and the way out.
        """
        return _read_fingerprints(self)

    def read_begun(self) -> dict[str, Any]:
        """The "settings" of the stage and what it has "read".

        Raises:
            ValueError: the file cannot be read; names it and the way out.
        """
        return read_json(self.begun, contents.Begun, way_out=self.way_out)

    def read_precision(self) -> str:
        """The precision that was found to be faster.

        Raises:
            ValueError: the file cannot be read; names it and the way out.
        """
        return read_json(self.precision, contents.Precision, way_out=self.way_out)

    def read_history(self) -> dict[str, list[Any]]:
        """Every logged value; what is no number there was not measured.

        Raises:
            FileNotFoundError: the stage has not trained.
            ValueError: the file cannot be read; names it and the way out.
        """
        return read_json(self.history, contents.History, way_out=self.way_out)


@dataclass(frozen=True)
class MeasureFolder:
    """The measurements of one seed's finished stages."""

    path: Path
    author = "the measurement"

    @property
    def way_out(self) -> str:
        return f"delete the folder {self.path} to measure again"

    @property
    def rows(self) -> Path:
        return self.path / "rows.json"

    @property
    def error(self) -> Path:
        """How the measurement has failed, until it is finished."""
        return _error(self.path)

    @property
    def disagreements(self) -> Path:
        """Test images that a student sees unlike its teacher."""
        return self.path / "disagreements.npz"

    @property
    def answers(self) -> Path:
        """The class that each stage's file gives to every test image; the labels."""
        return self.path / "answers.npz"

    @property
    def filters(self) -> Path:
        """The kernel with which each stage's net looks at the pixels."""
        return self.path / "filters.npz"

    @property
    def kernels(self) -> Path:
        """Size, zeros and values of each kernel in what the stages export."""
        return self.path / "kernels.json"

    @property
    def fingerprints(self) -> Path:
        """What was written, by content; see `fingerprints.py`."""
        return self.path / "fingerprints.json"

    def read_fingerprints(self) -> dict[str, dict[str, str]]:
        """As `StageFolder.read_fingerprints`."""
        return _read_fingerprints(self)

    def read_kernels(self) -> dict[str, list[dict[str, Any]]]:
        """The kernels of each stage, in their order.

        Raises:
            FileNotFoundError: there are none, as of earlier versions.
            ValueError: the file cannot be read; names it and the way out.
        """
        kind = dict[str, list[contents.Kernel]]
        return read_json(self.kernels, kind, way_out=self.way_out)

    def read_rows(self) -> list[dict[str, Any]]:
        """The rows of that seed.

        Raises:
            FileNotFoundError: it has not been measured.
            ValueError: the file cannot be read; names it and the way out.
        """
        return read_json(self.rows, list[contents.MeasuredRow], way_out=self.way_out)


@dataclass(frozen=True)
class SearchFolder:
    """What a search for a smaller net leaves."""

    path: Path

    @property
    def request(self) -> Path:
        """What was asked for."""
        return self.path / "request.json"

    @property
    def given(self) -> Path:
        """The model, where it came from memory."""
        return self.path / "given.keras"

    @property
    def journal(self) -> Path:
        """Optuna's, of all trials."""
        return self.path / "journal.jsonl"

    @property
    def clock(self) -> Path:
        """The seconds that were used."""
        return self.path / "clock.json"

    @property
    def lessons(self) -> Path:
        """On how many images short trainings learn."""
        return self.path / "lessons.json"

    @property
    def choice(self) -> Path:
        """Which candidate is trained in full, and for how long."""
        return self.path / "choice.json"

    @property
    def found(self) -> Path:
        """Every file that was asked, and which one was taken."""
        return self.path / "found.json"

    def trial(self, number: int) -> StageFolder:
        """Of a candidate that was trained for a short time."""
        return StageFolder(self.path / "trials" / str(number))

    def read_found(self) -> Mapping[str, Any]:
        """Every file that was asked, and which one was taken.

        Raises:
            ValueError: the file cannot be read; names it and the way out.
        """
        return read_json(self.found, contents.Found, way_out=MADE_AGAIN)


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
    def order(self) -> Path:
        """Seeds, stages and command of the last order; see `order.py`."""
        return self.path / "order.json"

    @property
    def lock(self) -> Path:
        return self.path / ".lock"

    @property
    def claims(self) -> Path:
        """Who is at what, while there is work; see `claims.py`."""
        return self.path / "claims"

    @property
    def error(self) -> Path:
        """How gathering the rows, or reporting, has failed."""
        return _error(self.page)

    @property
    def search(self) -> SearchFolder:
        return SearchFolder(self.path / "search")

    def stage(self, name: str, seed: int, *, once: bool = False) -> StageFolder:
        """Of a finished stage; with `once`, of one that all seeds share."""
        home = "once" if once else f"seed{seed}"
        return StageFolder(self.path / "stages" / home / name)

    def measure(self, seed: int) -> MeasureFolder:
        return MeasureFolder(self.path / "stages" / f"seed{seed}" / MEASURE)

    def require(self) -> None:
        """Raises FileNotFoundError where this is no run folder; names the way out."""
        if not self.recipe.is_file():
            raise FileNotFoundError(f"{self.path} is not a run folder; {self._other()}")

    def _other(self):
        """What was meant perhaps, where this is no run folder."""
        for each in self.path.parents:
            if RunFolder(each).recipe.is_file():
                return f"it is in {each}, which is one"
        inside = sorted(self.path.glob(f"*/{self.recipe.name}"))
        if inside:
            return f"it holds {len(inside)}, such as {inside[0].parent}"
        return f"--prepare makes one, as in `limbeck demo --out {self.path} --prepare`"

    def has(self, path: Path) -> bool:
        """Whether `path`, which is of this folder, is there now.

        Every level is listed: the mere question for a path is answered by an NFS
        client from what it remembers, and another machine may have made it since.
        """
        at = self.path
        for part in path.relative_to(at).parts:
            try:
                if part not in os.listdir(at):  # noqa: PTH208, a name is enough
                    return False
            except FileNotFoundError:
                return False
            at /= part
        return True

    def seeds(self) -> tuple[int, ...]:
        """Those of which something was begun."""
        names = (path.name for path in self.path.glob("stages/seed*/"))
        numbers = (name.removeprefix("seed") for name in names)
        return tuple(sorted(int(each) for each in numbers if each.isdecimal()))

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
            ValueError: a line is no row with a stage and a seed; names it.
        """
        if not self.rows.is_file():
            raise FileNotFoundError(
                f"{self.path} is not a run folder, or its run has measured nothing "
                f"yet: there is no {self.rows.name}; `limbeck demo --out {self.path}` "
                "makes one"
            )
        found = []
        lines = read_text(self.rows, way_out=MADE_AGAIN).splitlines()
        for at, text in enumerate(lines, start=1):
            if text.strip():
                line = f"{self.rows}, line {at}"
                found.append(from_json(text, line, contents.Row, way_out=MADE_AGAIN))
        return found

    def read_recipe(self) -> Mapping[str, Any]:
        """What was asked for, as this or an earlier version wrote it.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it cannot be read; names it and the way out.
        """
        return read_json(self.recipe, contents.RecipeRecord, way_out=KEPT)

    def read_order(self) -> Mapping[str, Any]:
        """For which seeds it is run, and more; raises as `read_recipe`."""
        return read_json(self.order, contents.Order, way_out=MADE_AGAIN)

    def read_environment(self) -> Mapping[str, Any]:
        """What it ran on; raises as `read_recipe`."""
        kind = contents.EnvironmentRecord
        return read_json(self.environment, kind, way_out=MADE_AGAIN)

    def read_data(self) -> Mapping[str, Any]:
        """The data as they were found; raises as `read_recipe`."""
        return read_json(self.data, contents.DataRecord, way_out=MADE_AGAIN)

    def read_declared(self) -> Mapping[str, Mapping[str, Any]]:
        """What each stage declares, by its name; raises as `read_recipe`."""
        return read_json(self.declared, contents.Declared, way_out=MADE_AGAIN)


def _read_fingerprints(folder):
    if not folder.fingerprints.is_file():
        return {"read": {}, "wrote": {}}
    way_out = folder.way_out
    return read_json(folder.fingerprints, contents.Fingerprints, way_out=way_out)


def _error(path):
    return path.with_name(f"{path.name}.error.json")


def partial(folder: Path) -> Path:
    """Where `folder` is written before it takes its place."""
    return folder.with_name(folder.name + PARTIAL)
