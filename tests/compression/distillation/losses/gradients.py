"""Values and gradients of a loss, on whichever backend runs the tests."""

import keras
import numpy as np
from keras import ops


def with_gradient(loss):
    """A function of (teacher, student) that gives two arrays.

    The first is `loss(teacher, student)`, a value for each example; the second
    d mean(loss) / d student. Keep the function: JAX compiles it once for each shape.
    """

    def mean_and_each(student, teacher):
        each = loss(teacher, student)
        return ops.mean(each), each

    if keras.backend.backend() == "jax":
        import jax

        both = jax.jit(jax.value_and_grad(mean_and_each, has_aux=True))

        def run(teacher, student):
            (_, each), found = both(student, teacher)
            return np.asarray(each), np.asarray(found)

        return run

    import tensorflow as tf

    def run(teacher, student):
        student = tf.convert_to_tensor(student)
        with tf.GradientTape() as tape:
            tape.watch(student)
            mean, each = mean_and_each(student, teacher)
        return each.numpy(), tape.gradient(mean, student).numpy()

    return run


def slope(loss, student, direction, step=1e-5):
    """The same along `direction`, by central differences of a float64 `loss`."""
    ahead, behind = (loss(student + sign * step * direction) for sign in (1, -1))
    return (np.mean(ahead) - np.mean(behind)) / (2 * step)
