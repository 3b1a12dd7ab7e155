"""A model in few bits, each layer in as few as a bound on accuracy allows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

from compression import quantization
from experiments.data import Data
from experiments.data.pipeline import first_batches
from experiments.stages import writing
from experiments.stages.base import Export, Fact, Job, Stage


@dataclass(frozen=True)
class MixedPrecision(Stage):
    """Weights of 4 or 8 bits, or layers left float, as validation images allow.

    What is written is the net with fake quantization, its int8 file, and plan.json, the
    precision of each layer.

    Attributes:
        max_drop: percentage points of top-1 on validation that may be lost.
        images: how many validation images are asked; None: all.
        calibration: number of train images from which ranges are read.

    Raises:
        ValueError: a setting is out of its range.
    """

    max_drop: float = field(default=0.5, kw_only=True)
    images: int | None = field(default=None, kw_only=True)
    calibration: int = field(default=256, kw_only=True)
    exports: tuple[Export, ...] = field(
        default=(Export("litert", "int8"),), kw_only=True
    )

    facts = (
        Fact("weight_share", "bytes of the weights, in parts of int8's", ".2f"),
        Fact("mixed_drop", "points lost on validation", ".2f"),
    )

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.max_drop <= 100:
            raise ValueError(
                f"max_drop must be 0 to 100 percentage points, got {self.max_drop}"
            )
        for name in ("images", "calibration"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be positive, got {value}")

    @property
    def what(self) -> str:
        return (
            f"{self.source} in 8-bit integers, weights of 4 bits where validation "
            f"loses at most {self.max_drop:g} points"
        )

    def check(self, data: Data, models: Mapping[str, keras.Model]) -> keras.Model:
        with self.named_in_errors():
            return quantization.quantize_aware(super().check(data, models))

    def run(self, job: Job) -> dict[str, Any]:
        model = self.started(job.data, job.load)
        calibration = writing.train_images(job.data, self.calibration)
        with self.named_in_errors():
            mixed = quantization.mixed_precision(
                model,
                first_batches(job.data, "validation", self.images),
                max_drop=self.max_drop,
                calibration=calibration,
            )
        mixed.plan.save(job.folder.plan)
        quantized = quantization.quantize_by_plan(model, mixed.plan, calibration)
        return writing.finish(self, quantized, job) | {
            "weight_share": mixed.weight_bytes / mixed.int8_bytes,
            "mixed_drop": 100 * (mixed.float_top1 - mixed.top1),
        }
