"""Somebody's own model takes part in an experiment."""

from dataclasses import dataclass
from typing import Any

from experiments.stages import writing
from experiments.stages.base import Job, Stage


@dataclass(frozen=True)
class Load(Stage):
    """A model as it is, exported and measured like any other; later stages use it.

    Load("teacher", File("my_net.keras"))
    """

    @property
    def what(self) -> str:
        return f"{self.source} as it is"

    def run(self, job: Job) -> dict[str, Any]:
        return writing.finish(self, self.started(job.data, job.load), job)
