"""Learning rates that differ from layer to layer."""

from collections.abc import Sequence

import keras


def with_rates(
    optimizer: keras.optimizers.Optimizer, factors: Sequence[float]
) -> keras.optimizers.Optimizer:
    """The same optimizer, each variable's step times its own factor.

    Weight decay, which pulls at all weights alike, is left as it is. (Keras's
    `MultiOptimizer` would clip the gradients of each group by themselves, and has no
    learning rate to show.)

    Args:
        optimizer: not used yet; changed.
        factors: one for each variable, in the order in which `build` will get them.
    """
    step = optimizer.update_step

    def scaled(gradient, variable, learning_rate):
        # Keras gives the backend's own variable here, and knows which one that is.
        factor = factors[optimizer._get_variable_index(variable)]
        return step(gradient, variable, learning_rate * factor)

    optimizer.update_step = scaled
    return optimizer
