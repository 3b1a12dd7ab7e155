"""What models and files give: logits, or probabilities, which become logits here.

A net that ends in a softmax or a sigmoid is exported as it is. What measures it needs
logits: the cross-entropy is of logits, and one logit above 0 means class 1 where a
probability above 0.5 does.
"""

import keras
import numpy as np

from compression.export.runners import Runner
from compression.graph import has_graph
from compression.logits import PROBABILITIES, ending

LOGITS = "logits"
FROM_0_TO_1 = ("softmax", "sigmoid", PROBABILITIES)
SMALLEST = 1e-7  # probability: smaller ones differ by rounding only
TOLERANCE = 1e-2  # of the sum of probabilities
STEP = 1 / 256  # of probabilities in integers of 8 bits


def output_name(model: keras.Model) -> str:
    """How an exported file calls its output: "logits" or "probabilities"."""
    return PROBABILITIES if ending(model).kind in FROM_0_TO_1 else LOGITS


def as_logits(outputs: np.ndarray, runner: Runner) -> np.ndarray:
    """The logits of what `runner` gave: log p of a softmax, log(p / (1 - p)) else.

    A Keras model's graph says what its output is, a file's own name of the output
    does; of a file with another name the numbers do.

    Args:
        outputs: (n, classes) float32.
        runner: what gave them.
    """
    kind = _kind(outputs, runner)
    if kind not in FROM_0_TO_1:
        return outputs
    p = np.clip(outputs, SMALLEST, 1 - SMALLEST)
    if kind == "softmax" or (kind == PROBABILITIES and _sum_to_one(outputs)):
        return np.log(p)
    return np.log(p) - np.log1p(-p)


def _kind(outputs, runner):
    if runner.model is not None and has_graph(runner.model):
        return ending(runner.model).kind
    if runner.output in (LOGITS, PROBABILITIES):
        return runner.output
    one = outputs.shape[-1] == 1 and outputs.min() >= 0 and outputs.max() <= 1
    return PROBABILITIES if one or _sum_to_one(outputs) else LOGITS


def _sum_to_one(outputs):
    if outputs.shape[-1] == 1 or (outputs < 0).any():
        return False
    tolerance = TOLERANCE
    if (outputs % STEP == 0).all():  # each may be off by half a step
        tolerance += outputs.shape[-1] * STEP / 2
    return bool((np.abs(outputs.sum(axis=-1) - 1) <= tolerance).all())
