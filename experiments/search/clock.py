"""The time that a search was given, and what of it was used, resumes counted."""

import time
from pathlib import Path
from typing import TypedDict

from experiments.files import read_json, write_json
from experiments.schema import Number


class _Used(TypedDict):
    seconds: Number


class Clock:
    """Counts the seconds of a search, over all processes that worked on it.

    Args:
        file: where the seconds of earlier processes stand.
        seconds: that the search was given.
    """

    def __init__(self, file: Path, seconds: float):
        self._file, self._given = file, seconds
        self._before = 0.0
        if file.is_file():
            way_out = "delete it: the search counts anew"
            self._before = read_json(file, _Used, way_out=way_out)["seconds"]
        self._start = time.perf_counter()

    @property
    def used(self) -> float:
        """Seconds so far."""
        return self._before + time.perf_counter() - self._start

    def left(self, until: float = 1.0) -> float:
        """Seconds until that share of the time is used; below 0: it has passed."""
        return until * self._given - self.used

    def note(self) -> None:
        """Have what was used so far outlive this process."""
        write_json(self._file, {"seconds": round(self.used, 1)})
