"""How many values kernels have, and the bits that say which one a weight has."""

from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from compression.export.runners import Runner
from compression.measure.scores import runner_of
from compression.weights import KERNELS


class KernelValues(NamedTuple):
    """Of one kernel.

    Attributes:
        size: number of weights.
        values: number of distinct ones.
        bits: entropy of a weight's value by its frequency: what a coder needs at least
            for each weight, whatever comes before it, less the table of values.
        nonzero: number of weights that are not 0.
    """

    size: int
    values: int
    bits: float
    nonzero: int


def kernel_values(
    model_or_path: keras.Model | Runner | str | Path,
) -> dict[str, KernelValues]:
    """Distinct values of each kernel, by its path in a model or its name in a file.

    Args:
        model_or_path: a Keras model, a .keras file, or a .tflite file, of whose
            quantized kernels codes count.

    Raises:
        ValueError: it is a SavedModel, which hides its kernels.
    """
    return {name: _values(kernel) for name, kernel in _kernels(model_or_path).items()}


def _values(kernel):
    _, counts = np.unique(kernel, return_counts=True)
    share = counts / kernel.size
    bits = float(max(0.0, -(share @ np.log2(share))))
    return KernelValues(kernel.size, len(counts), bits, int(np.count_nonzero(kernel)))


def _kernels(model_or_path):
    if isinstance(model_or_path, keras.Model):
        return {
            variable.path: ops.convert_to_numpy(variable.value)
            for variable in model_or_path.variables
            if variable.name in KERNELS
        }
    runner = runner_of(model_or_path)
    if runner.kind == "litert":
        from compression.measure.litert_file import litert_kernels

        return litert_kernels(runner.path)
    if runner.kind == "saved_model":
        raise ValueError(
            f"the kernels of {runner.path} are those of a SavedModel, which are not "
            "looked at: give the .keras or .tflite file"
        )
    return _kernels(runner.model)
