"""What other seeds have measured of the stages that all seeds share.

Such a stage's files are shown the test images once, not once a seed: nothing but their
latency can come out otherwise.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from compression.measure import Profile
from experiments.runs.answers import read_answers
from experiments.runs.fingerprints import require_as_written
from experiments.runs.layout import MeasureFolder, RunFolder

COMPLETE = {each.name for each in fields(Profile)}
Print = tuple[str, str]  # a file's name in the run folder, and its SHA-256


@dataclass(frozen=True)
class Before:
    """What is known of files: of the same name, with the same content.

    Attributes:
        files: what a row says of each.
        answers: the class of every test image, of files that stand for their stage.
    """

    files: Mapping[Print, Mapping[str, Any]] = field(default_factory=dict)
    answers: Mapping[Print, np.ndarray] = field(default_factory=dict)

    def knows(self, files: Collection[Print]) -> bool:
        """Whether nothing of these files of a stage is to be measured but latency."""
        first, *_ = files
        return first in self.answers and all(each in self.files for each in files)


def measured_before(folder: RunFolder, stages: Collection[str]) -> Before:
    """What the measurements of a run say of some stages, as far as they are whole."""
    found = Before({}, {})
    for measured in folder.measured() if stages else ():
        try:
            _add(measured, stages, found)
        except (OSError, ValueError, KeyError):
            continue  # who gathers the rows says what is wrong
    return found


def _add(measured: MeasureFolder, stages, found):
    if not measured.fingerprints.is_file():
        return
    require_as_written(measured)
    rows = [row for row in measured.read_rows() if row["stage"] in stages]
    answers = read_answers(measured.answers).by_stage
    for row in rows:
        files = row["files"]
        if all(file.keys() >= COMPLETE for file in files):
            prints = [(file["file"], file["sha256"]) for file in files]
            found.files.update(zip(prints, files, strict=True))
            found.answers[prints[0]] = answers[row["stage"]]
