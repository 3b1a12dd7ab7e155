"""Gradients outside a trainer, on the backends that have them."""

from collections.abc import Callable, Sequence

import keras
from keras import ops, tree


def gradients(function: Callable, variables: Sequence[keras.Variable]) -> list:
    """Of the scalar `function()` for each of the variables; may be nested.

    Raises:
        ValueError: the backend is neither TensorFlow nor JAX.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _tensorflow(function, variables)
    if backend == "jax":
        return _jax(function, variables)
    raise ValueError(
        f"gradients are taken with TensorFlow or JAX, not with {backend}: choose a "
        "saliency that needs none, such as 'magnitude' or Wanda"
    )


def mean_loss(model: keras.Model, loss: Callable | None, x, y):
    """The loss of one batch, a scalar in float32; the net as in inference.

    Args:
        model: what is called.
        loss: function of (labels, outputs), a number or one for each example; None:
            what `model` was compiled with.
        x: what goes in.
        y: labels.

    Raises:
        ValueError: the loss cannot take the labels: it is of other ones, perhaps.
    """
    outputs = model(x, training=False)
    try:
        if loss is None:
            value = model.compute_loss(x, y, outputs, None, False)
        else:
            value = loss(y, outputs)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the loss cannot take a saliency's labels {_shapes(y)} beside outputs "
            f"{_shapes(outputs)}: give labels as the net is trained with (one-hot or "
            f"class numbers), or another loss ({error})"
        ) from error
    return ops.mean(ops.cast(value, "float32"))


def _shapes(given):
    return " and ".join(str(tuple(ops.shape(each))) for each in tree.flatten(given))


def _tensorflow(function, variables):
    import tensorflow as tf

    values = [variable.value for variable in variables]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(values)
        result = function()
    zero = tf.UnconnectedGradients.ZERO
    return tape.gradient(result, values, unconnected_gradients=zero)


def _jax(function, variables):
    import jax

    def of(values):
        pairs = list(zip(variables, values, strict=True))
        with keras.StatelessScope(state_mapping=pairs):
            return function()

    return jax.grad(of)([variable.value for variable in variables])
