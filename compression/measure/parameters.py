"""Parameters and non-zeros of anything that `export.load` can load."""

from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from compression.export.runners import Runner
from compression.measure.scores import runner_of
from compression.weights import learned_variables, require_floats


class Parameters(NamedTuple):
    """`count` weights, of which `nonzero` are not zero."""

    count: int
    nonzero: int


def parameters(model_or_path: keras.Model | Runner | str | Path) -> Parameters:
    """Weights as papers count them, and how many are not zero.

    Of a Keras model and of a SavedModel that limbeck wrote: everything a layer trains,
    frozen or not (kernels, biases, batch norm's scale and shift; not its moving
    statistics). Of a .tflite file: all its real-valued constants; there, batch norm
    behind a convolution has become one bias a channel where the model has a scale
    and a shift, so a file has as many parameters fewer as there are channels; and
    biases of nothing but zeros do not count, for the converter drops or invents them.
    int8 codes count, their scales do not; a code is zero where it means zero.

    Raises:
        ValueError: a model is not built, or Keras's own `quantize` has packed it.
    """
    weights = _weights(model_or_path)
    return Parameters(
        sum(value.size for value in weights),
        sum(int(np.count_nonzero(value)) for value in weights),
    )


def _weights(model_or_path):
    if isinstance(model_or_path, keras.Model):  # of any number of inputs
        if not model_or_path.built:
            raise ValueError(
                f"model {model_or_path.name!r} must be built: call it once"
            )
        require_floats(model_or_path)
        return [
            keras.ops.convert_to_numpy(variable.value)
            for variable in learned_variables(model_or_path)
        ]
    runner = runner_of(model_or_path)
    if runner.kind == "litert":
        from compression.measure.litert_file import litert_weights

        return litert_weights(runner.path)
    if runner.kind == "saved_model":
        from compression.measure.saved_model_folder import saved_model_weights

        return saved_model_weights(runner.path)
    return _weights(runner.model)
