"""Learning rates that differ from layer to layer."""

from collections.abc import Callable

import keras


def with_rates(
    optimizer: keras.optimizers.Optimizer,
    rate: Callable[[keras.Variable], float] | None,
) -> keras.optimizers.Optimizer:
    """The same optimizer, each variable's step times its own factor.

    Weight decay, which pulls at all weights alike, is left as it is. (Keras's
    `MultiOptimizer` would clip the gradients of each group by themselves, and has no
    learning rate to show.)

    Args:
        optimizer: not used yet; changed.
        rate: function of a trainable variable; None: all factors are 1.
    """
    if rate is None:
        return optimizer
    step = optimizer.update_step

    def scaled(gradient, variable, learning_rate):
        # Keras may give the backend's own variable here; it knows which one that is.
        number = optimizer._get_variable_index(variable)
        factor = rate(optimizer._trainable_variables[number])
        return step(gradient, variable, learning_rate * factor)

    optimizer.update_step = scaled
    return optimizer
