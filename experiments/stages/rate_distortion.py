"""A net's weights are rounded as coarsely as a bound on accuracy allows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

from compression import export
from compression.logits import require_logits
from experiments.data import Data, pipeline
from experiments.stages import writing
from experiments.stages.base import Export, Fact, Job, Stage

EXPORTS = (Export("litert"), Export("archive"))


@dataclass(frozen=True)
class RateDistortion(Stage):
    """Whole multiples of a step for each array: for an archive of few bytes.

    Attributes:
        max_drop: points of validation accuracy that may be lost, from 0 to 100.
        images: how many validation images are asked; None: all.
        exports: forms in which the model is written; the archive is what it is for.

    Raises:
        ValueError: `max_drop` or `images` is out of its range.
    """

    max_drop: float = field(default=0.1, kw_only=True)
    images: int | None = field(default=None, kw_only=True)
    exports: tuple[Export, ...] = field(default=EXPORTS, kw_only=True)

    facts = (Fact("validation_drop", "points lost on validation by rounding", "+.2f"),)

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.max_drop < 100:
            raise ValueError(f"max_drop must be in [0, 100), got {self.max_drop}")
        if self.images is not None and self.images < 1:
            raise ValueError(f"images must be positive, got {self.images}")

    @property
    def what(self) -> str:
        return (
            f"{self.source}, its weights rounded while at most {self.max_drop:g} "
            "points of validation accuracy are lost"
        )

    def check(self, data: Data, models: Mapping[str, keras.Model]) -> keras.Model:
        model = super().check(data, models)
        require_logits(model, f"stage {self.name!r}: its start")
        return model

    def run(self, job: Job) -> dict[str, Any]:
        model = self.started(job.data, job.load)
        found = export.coarsen(
            model,
            pipeline.first_batches(job.data, "validation", self.images),
            max_drop=self.max_drop / 100,
            log=lambda line: print(f"  {line}", flush=True),
        )
        about = writing.finish(self, model, job)
        return about | {
            "validation_top1": found.top1,
            "validation_drop": round(100 * (found.exact_top1 - found.top1), 4),
        }
