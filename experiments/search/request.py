"""What is asked of a search."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.data.augment import Augment
from experiments.search.limits import Limits
from experiments.stages.file import File

MAX_DROP = 0.5  # points, where nobody says what a file may take or lose


@dataclass(frozen=True)
class Request:
    """A model, what to train on, and what its file may take.

    Attributes:
        model: the given one.
        data: name of the dataset, as `experiments.data.load` takes it.
        limits: what the file may take and lose; none at all are half a point.
        hours: that all of it may take.
        seed: of all randomness.
        augment: what train images go through; None: a crop after padding, and
            mirroring where the data allow it.
        image_size: pixels a side; None: what the model takes, or as stored.
        skip_bad_images: leave unreadable images of a folder out, instead of stopping.
        normalisation: of pixels, as `experiments.data.normalisation` has it; None: as
            what lies beside the model says, or as is found out.

    Raises:
        ValueError: `hours` is not positive, or `seed` is negative or too large.
    """

    model: File
    data: str
    limits: Limits
    hours: float = 1.0
    seed: int = 0
    augment: Augment | None = None
    image_size: int | None = None
    skip_bad_images: bool = False
    normalisation: str | None = None

    def __post_init__(self):
        if not 0 < self.hours < np.inf:
            raise ValueError(f"hours must be positive, got {self.hours}")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must be from 0 to 2**32 - 1, got {self.seed}")
        if self.limits == Limits():
            object.__setattr__(self, "limits", Limits(max_drop=MAX_DROP))

    def as_dict(self) -> dict[str, Any]:
        """What a folder belongs to; the time may be another one when it goes on."""
        plain = dataclasses.asdict(self)
        del plain["hours"], plain["model"]["path"]
        if plain["limits"]["bytes_zipped"] is None:  # older folders know no such limit
            del plain["limits"]["bytes_zipped"]
        return plain
