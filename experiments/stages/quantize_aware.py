"""A net goes on learning with the rounding of its int8 file."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from compression import pruning
from compression.quantization import aware
from compression.quantization.fake_quantize import require_bits
from experiments.data.pipeline import steps_per_epoch
from experiments.stages import fitting, writing
from experiments.stages.base import Export, Job
from experiments.stages.training_stage import TrainingStage
from experiments.training.fit import Trained

LEARNT = ("step", "steps", "clip")  # of ranges
BATCH = 128


@dataclass(frozen=True)
class QuantizeAware(TrainingStage):
    """The net is fake-quantized, then trained; its ranges come first from train images.

    What is written is the net with fake quantization, and its int8 file.

    Attributes:
        bits: of the weights, 8 or 4.
        method: "moving_average", "lsq" or "pact", as `quantize_aware` takes it.
        freeze: fraction of the training after which batch norm follows batches no more,
            in later stages neither; 1: it always does, as it must where weights are
            pruned afterwards.
        images: how many train images ranges begin with.
        rate: of learnt steps and ends, times the learning rate.
        skip: layers that stay float32, by name or pattern.
        keep_zeros: whether the zeros of its kernels stay, those of a pruned net.

    Raises:
        ValueError: a setting is out of its range.
    """

    bits: int = field(default=8, kw_only=True)
    method: str = field(default="moving_average", kw_only=True)
    freeze: float = field(default=0.5, kw_only=True)
    images: int = field(default=256, kw_only=True)
    rate: float = field(default=0.1, kw_only=True)
    skip: tuple[str, ...] = field(default=(), kw_only=True)
    keep_zeros: bool = field(default=False, kw_only=True)
    exports: tuple[Export, ...] = field(
        default=(Export("litert", "int8"),), kw_only=True
    )

    def __post_init__(self):
        super().__post_init__()
        require_bits(self.bits)
        if self.method not in aware.METHODS:
            raise ValueError(
                f"no method called {self.method!r}; choose from "
                f"{', '.join(aware.METHODS)}"
            )
        if not 0 <= self.freeze <= 1:
            raise ValueError(f"freeze must be in [0, 1], got {self.freeze}")
        for name in ("images", "rate"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")

    @property
    def what(self) -> str:
        how = {"lsq": ", steps learnt", "pact": ", clipped by PACT"}
        return (
            f"{self.source} with weights of {self.bits} bits, trained with their "
            f"rounding{how.get(self.method, '')}, {self.lesson}"
            f"{', its zeros kept' if self.keep_zeros else ''}"
        )

    def callbacks(self, steps: int) -> list[keras.callbacks.Callback]:
        return [pruning.KeepZeros()] if self.keep_zeros else []

    def prepared(self, model: keras.Model) -> keras.Model:
        """As `made`, with ranges of noise: what nothing must be shown for."""
        noise = np.random.default_rng(0).normal(size=(4, *model.input_shape[1:]))
        return self._quantized(model, [noise], None)

    def made(self, job: Job) -> keras.Model:
        images = writing.train_images(job.data, self.images, batch_size=BATCH)
        steps = steps_per_epoch(job.data, self.training.batch_size)
        after = round(self.freeze * steps * self.training.epochs)
        after = None if self.freeze == 1 else after
        return self._quantized(self.started(job.data, job.load), images, after)

    def trained(self, model: keras.Model, job: Job) -> tuple[Trained, dict[str, Any]]:
        learnt = {id(v) for v in model.trainable_variables if v.name in LEARNT}
        part = fitting.Part(rate=lambda v: self.rate if id(v) in learnt else 1.0)
        return fitting.fit(self, model, job, part)

    def _quantized(self, model, images: Iterable, freeze_after):
        with self.named_in_errors():
            return aware.quantize_aware(
                model,
                bits=self.bits,
                method=self.method,
                calibration=images,
                freeze_after=freeze_after,
                skip=self.skip,
            )
