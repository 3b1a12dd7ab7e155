"""A net's int8 file: written, what it takes, what it does on validation images."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from compression import export, measure
from compression.quantization import is_quantized
from experiments.data import Data
from experiments.data.pipeline import first_batches
from experiments.search.candidate import Candidate
from experiments.search.limits import Cost, Limits, cost_of
from experiments.search.trials import Result
from experiments.stages.writing import train_images

CALIBRATION = 256  # train images, from which ranges are read
TEMPERATURES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
JUDGES = 512  # validation images that judge candidates before any training


@dataclass(frozen=True)
class Written:
    """A file that could be the one.

    Attributes:
        name: of what made it, in a word or two.
        path: of the file.
        candidate: what it is.
        cost: what it takes.
        top1: on all validation images.
    """

    name: str
    path: Path
    candidate: Candidate
    cost: Cost
    top1: float


class Files:
    """Writes files of nets and asks them.

    Args:
        data: whose train images calibrate, and whose validation images judge.
        limits: what files may take; what it costs time to measure, RAM on a board and
            zipped bytes, is measured where they limit it.
    """

    def __init__(self, data: Data, limits: Limits):
        self._limits = limits
        self._calibration = train_images(data, CALIBRATION)
        self._validation = first_batches(data, "validation")
        self._judges = first_batches(data, "validation", JUDGES)

    def write(self, net: keras.Model, bits: int, path: Path) -> Cost:
        """Write the net in integers; returns what the file takes.

        Raises:
            ValueError: it cannot be written so, or not run on a board.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of answers that change: they are counted
            try:
                export.litert(
                    net,
                    path,
                    precision="int8",
                    calibration=self._calibration,
                    weight_bits=8 if is_quantized(net) else bits,
                )
            except RuntimeError as error:  # the converter refuses
                raise ValueError(f"no int8 file of {net.name}: {error}") from error
        return self.cost(path, net)

    def cost(self, path: Path, net: keras.Model) -> Cost:
        """What the net's file takes."""
        return cost_of(
            path,
            measure.macs(net),
            on_board=self._limits.arena_bytes is not None,
            zipped=self._limits.bytes_zipped is not None,
        )

    def quick(self, net: keras.Model) -> Result:
        """A net right after a cut, on the first validation images.

        Such a net is surer of itself than it should be, and the less is left of it the
        less sure: its loss is taken at the temperature that suits it best.
        """
        return self._result(net, self._judges, TEMPERATURES)

    def whole(self, path: Path) -> Result:
        """The file on all validation images."""
        return self._result(path, self._validation)

    def net(self, model: keras.Model) -> Result:
        """A model on all validation images."""
        return self._result(model, self._validation)

    def _result(self, file, batches, temperatures=(1.0,)):
        logits = measure.logits(file, batches)
        labels = np.concatenate([labels for _, labels in batches])
        return Result(
            top1=measure.accuracy(logits, labels),
            loss=min(measure.cross_entropy(logits / t, labels) for t in temperatures),
        )
