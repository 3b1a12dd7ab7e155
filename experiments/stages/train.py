"""A net is trained."""

from dataclasses import dataclass

from experiments.stages.net import Net
from experiments.stages.training_stage import TrainingStage


@dataclass(frozen=True)
class Train(TrainingStage):
    """A net learns from the labels, or from a teacher if it has `teaching`."""

    @property
    def what(self) -> str:
        fresh = isinstance(self.start, Net) and self.start.weights is None
        published = isinstance(self.start, Net) and not fresh
        how = "from published weights, tuned" if published else "tuned"
        return f"{self.source} {'trained' if fresh else how} {self.lesson}"
