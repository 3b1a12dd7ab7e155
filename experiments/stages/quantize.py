"""A model in integers, without further training."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

from compression import quantization
from compression.quantization.fake_quantize import require_bits
from compression.quantization.post_training import require_method
from experiments.data import Data
from experiments.stages import writing
from experiments.stages.base import Export, Job, Stage

EXPORTS = (
    Export("litert", "int8"),
    Export("litert", "dynamic"),
    Export("litert", "float16"),
    Export("saved_model", "int8"),
    Export("saved_model", "float16"),
)
WORDS = {8: "8-bit integers", 4: "8-bit integers with weights of 4 bits"}


@dataclass(frozen=True)
class Quantize(Stage):
    """A model in 8-bit integers, its ranges calibrated on train images.

    The options are those of a net that needs more than that, in the order in which they
    are applied. What is written is the net after them, in float32, and its files.

    Attributes:
        calibration: number of train images that are looked at.
        equalise: whether channels are rescaled from layer to layer first.
        adaround: steps for each layer in which its weights' rounding is learnt; 0: they
            are rounded to the nearest.
        correct_bias: whether biases make up for what rounding does to means.
        method: by which ranges are chosen, as `quantization.calibrate` takes it; None:
            by the lowest and the highest value, as LiteRT's converter does by itself.
        bits: of an int8 file's weights, 8 or 4.

    Raises:
        ValueError: a setting is out of its range.
    """

    calibration: int = 256
    equalise: bool = field(default=False, kw_only=True)
    adaround: int = field(default=0, kw_only=True)
    correct_bias: bool = field(default=False, kw_only=True)
    method: str | None = field(default=None, kw_only=True)
    bits: int = field(default=8, kw_only=True)
    exports: tuple[Export, ...] = field(default=EXPORTS, kw_only=True)

    calibrates = True

    def __post_init__(self):
        super().__post_init__()
        if self.calibration < 1:
            raise ValueError(f"calibration must be positive, got {self.calibration}")
        if self.adaround < 0:
            raise ValueError(f"adaround must not be negative, got {self.adaround}")
        if self.method is not None:
            require_method(self.method)
        require_bits(self.bits)

    @property
    def what(self) -> str:
        return (
            f"{self.source} in {WORDS[self.bits]}, calibrated on train images"
            f"{''.join(f', {step}' for step in self.steps)}"
        )

    @property
    def steps(self) -> tuple[str, ...]:
        """What is done beside plain calibration, in words."""
        steps = {
            "equalised": self.equalise,
            "rounding learnt": self.adaround,
            "biases corrected": self.correct_bias,
            f"ranges by {self.method}": self.method,
        }
        return tuple(name for name, done in steps.items() if done)

    def check(self, data: Data, models: Mapping[str, keras.Model]) -> keras.Model:
        model = super().check(data, models)
        if self.steps or self.bits != 8:
            with self.named_in_errors():
                quantization.quantize_aware(model)  # the same nets as all steps take
        return model

    def run(self, job: Job) -> dict[str, Any]:
        images = writing.train_images(job.data, self.calibration)
        model = self._prepared(self.started(job.data, job.load), images)
        method = self.method
        if self.adaround or self.bits != 8:  # the converter's own would round anew
            method = method or "minmax"
        integer = {"calibration_method": method, "weight_bits": self.bits}
        about = writing.finish(self, model, job, calibration=images, integer=integer)
        return about | ({"quantized": ", ".join(self.steps)} if self.steps else {})

    def _prepared(self, model, images):
        """The net, float32, as it shall be calibrated."""
        if self.equalise:
            model = quantization.equalise(model)
        if not (self.adaround or self.correct_bias):
            return model
        before = model
        if self.adaround:
            model = quantization.adaround(
                model, images, bits=self.bits, steps=self.adaround
            )
        if self.correct_bias:
            model = quantization.correct_bias(
                model, images, bits=self.bits, reference=before
            )
        return model
