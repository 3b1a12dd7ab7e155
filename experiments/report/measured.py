"""What was measured beside the rows: answers to test images, kernels, first filters."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from experiments.arrays import read_arrays
from experiments.runs.answers import read_answers
from experiments.runs.fingerprints import is_as_written
from experiments.runs.layout import MeasureFolder, RunFolder

Kernels = Mapping[str, list[Mapping[str, Any]]]
Found = TypeVar("Found")


@dataclass(frozen=True)
class Answers:
    """The class that each stage's file gives to every test image of one seed.

    Attributes:
        seed: of the run.
        labels: (images,) true classes.
        by_stage: (images,) of each stage.
    """

    seed: int
    labels: np.ndarray
    by_stage: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Measured:
    """Of a run folder; earlier versions wrote none of it.

    Attributes:
        answers: of each seed that has them.
        kernels: of each stage in the first seed that has them.
        filters: of each stage, (height, width, channels, filters), likewise.
    """

    answers: tuple[Answers, ...] = ()
    kernels: Kernels | None = None
    filters: Mapping[str, np.ndarray] | None = None


def read(folder: RunFolder, seeds: Iterable[int], gaps: list[str]) -> Measured:
    """All of it; what is damaged or altered is added to `gaps` and left out."""
    homes = {seed: folder.measure(seed) for seed in seeds}
    answers = [
        _taken(home, home.answers, lambda path, s=seed: _answers(path, s), gaps)
        for seed, home in homes.items()
    ]
    kernels = [
        _taken(home, home.kernels, lambda _, h=home: h.read_kernels(), gaps)
        for home in homes.values()
    ]
    filters = [_taken(home, home.filters, _filters, gaps) for home in homes.values()]
    return Measured(
        tuple(each for each in answers if each is not None),
        next((each for each in kernels if each is not None), None),
        next((each for each in filters if each is not None), None),
    )


def _taken(
    home: MeasureFolder, path: Path, read: Callable[[Path], Found], gaps: list[str]
) -> Found | None:
    if not path.is_file():
        return None
    where = f"{path.name} of {home.path.parent.name}"
    try:
        if is_as_written(home, path):
            return read(path)
        gaps.append(f"altered {where}, which is left out")
    except (ValueError, KeyError):
        gaps.append(f"unreadable {where}")
    return None


def _answers(path, seed):
    labels, by_stage = read_answers(path)
    return Answers(seed, labels, by_stage)


def _filters(path):
    stored = read_arrays(path)
    names = [str(stage) for stage in stored["stages"].reshape(-1)]
    found = {name: stored[str(at)] for at, name in enumerate(names)}
    for kernel in found.values():
        fits = kernel.ndim == 4 and kernel.shape[2] in (1, 3) and kernel.size
        if not fits or kernel.dtype.kind != "f":
            raise ValueError("arrays of other shapes or types than a run writes")
    return found
