"""A student is taught by a teacher."""

from dataclasses import dataclass

from experiments.stages.base import listed
from experiments.stages.training_stage import TrainingStage


@dataclass(frozen=True)
class Distill(TrainingStage):
    """A net learns from a teacher, and from the labels as far as they have a weight.

    Raises:
        ValueError: there is no `teaching`.
    """

    def __post_init__(self):
        super().__post_init__()
        if self.teaching is None:
            raise ValueError(f"{self.name}: who teaches? Distill needs a Teaching")

    @property
    def what(self) -> str:
        some = "" if self.classes is None else f" on images of {listed(self.classes)}"
        return f"{self.source} {self.lesson}{some}"
