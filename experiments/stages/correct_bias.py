"""The output biases of classes that a student's transfer set lacked are corrected."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from compression import measure
from compression.distillation import best_bias_shift, shift_bias
from experiments.data import Data, pipeline
from experiments.data.transfer_set import check_classes
from experiments.stages import writing
from experiments.stages.base import Fact, Job, Stage, listed


@dataclass(frozen=True)
class CorrectBias(Stage):
    """One number is added to the output biases of some classes.

    The number is the one that gets most validation images right; Hinton et al. (2015,
    section 3) chose it on the test images.

    Attributes:
        classes: labels whose biases are shifted together.
    """

    classes: tuple[int, ...] = field()

    facts = (Fact("bias_shift", "shift chosen on validation", "+.2f"),)

    @property
    def what(self) -> str:
        return (
            f"{self.source}, its output biases of {listed(self.classes)} shifted as "
            "suits the validation images"
        )

    def check(self, data: Data, models: Mapping[str, keras.Model]) -> keras.Model:
        check_classes(data, self.classes)
        model = super().check(data, models)
        with self.named_in_errors():
            shift_bias(model, self.classes, 0.0)
        return model

    def run(self, job: Job) -> dict[str, Any]:
        model = self.started(job.data, job.load)
        batches = list(pipeline.evaluation_batches(job.data, "validation"))
        labels = np.concatenate([label for _, label in batches])
        shift = best_bias_shift(measure.logits(model, batches), labels, self.classes)
        shift_bias(model, self.classes, shift)
        top1 = measure.accuracy(measure.logits(model, batches), labels)
        about = writing.finish(self, model, job)
        return about | {"bias_shift": shift, "validation_top1": top1}
