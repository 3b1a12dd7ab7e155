"""What a training of a search learns from: all images, or as many as there is time."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypedDict

from experiments.data import Data
from experiments.data.fewer import fewer
from experiments.files import read_json, write_json
from experiments.schema import Count
from experiments.stages.teaching import Teaching

VIEWS = 4


class Record(TypedDict):
    """Lessons, as JSON has them."""

    train_images: Count | None
    views: Count


@dataclass(frozen=True)
class Lessons:
    """What a training learns from.

    Attributes:
        train_images: how many of the train split; None: all.
        views: of each, for which the teacher's outputs are kept.
    """

    train_images: int | None = None
    views: int = VIEWS

    def images_of(self, data: Data) -> Data:
        """The data with these images alone."""
        return data if self.train_images is None else fewer(data, self.train_images)

    def taught(self, teaching: Teaching) -> Teaching:
        """The teaching with so many views."""
        return replace(teaching, views=self.views)

    def as_dict(self) -> Record:
        return Record(**asdict(self))

    def write(self, file: Path) -> None:
        """Have a search that goes on there learn from the same."""
        write_json(file, self.as_dict())

    @classmethod
    def read(cls, file: Path) -> "Lessons":
        """What `write` wrote.

        Raises:
            ValueError: the file cannot be read; names it and the way out.
        """
        way_out = "remove it: trainings to come may learn from others"
        return cls(**read_json(file, Record, way_out=way_out))
