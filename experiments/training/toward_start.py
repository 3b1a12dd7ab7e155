"""Weights are held near those that a training began with.

Li et al. (2018), Explicit Inductive Bias for Transfer Learning with Convolutional
Networks, section 3 (L2-SP), https://arxiv.org/abs/1802.01483.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import keras
from keras import ops


class TowardStart(keras.regularizers.Regularizer):
    """alpha / 2 times the squared distance from the values at the start.

    Args:
        start: of the variable that it is given.
        alpha: 0 or more.
    """

    def __init__(self, start, alpha: float):
        # A variable: as a constant it would be written into the traced step.
        self.start = keras.Variable(start, trainable=False, dtype="float32")
        self.alpha = alpha

    def __call__(self, x):
        away = ops.cast(x, "float32") - self.start
        return 0.5 * self.alpha * ops.sum(ops.square(away))


@contextmanager
def held(variables: Iterable[keras.Variable], alpha: float) -> Iterator[None]:
    """Within it, the model's loss has the penalty of each variable.

    Args:
        variables: of a model; their own regularizers come back afterwards.
        alpha: of `TowardStart`; 0: nothing happens.
    """
    variables = list(variables) if alpha else []
    before = [variable.regularizer for variable in variables]
    for variable in variables:
        variable.regularizer = TowardStart(variable, alpha)
    try:
        yield
    finally:
        for variable, regularizer in zip(variables, before, strict=True):
            variable.regularizer = regularizer
