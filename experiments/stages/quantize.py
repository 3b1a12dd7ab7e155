"""A model in integers, without further training."""

from dataclasses import dataclass, field
from typing import Any

from experiments.stages import writing
from experiments.stages.base import Export, Job, Stage

EXPORTS = (
    Export("litert", "int8"),
    Export("litert", "dynamic"),
    Export("litert", "float16"),
    Export("saved_model", "int8"),
    Export("saved_model", "float16"),
)


@dataclass(frozen=True)
class Quantize(Stage):
    """A model in 8-bit integers, its ranges calibrated on train images.

    Attributes:
        calibration: number of train images that are looked at.

    Raises:
        ValueError: `calibration` is not positive.
    """

    calibration: int = 256
    exports: tuple[Export, ...] = field(default=EXPORTS, kw_only=True)

    def __post_init__(self):
        if self.calibration < 1:
            raise ValueError(f"calibration must be positive, got {self.calibration}")

    @property
    def what(self) -> str:
        return f"{self.source} in 8-bit integers, calibrated on train images"

    def run(self, job: Job) -> dict[str, Any]:
        model = self.started(job.data, job.load)
        return writing.finish(self, model, job, calibration=self.calibration)
