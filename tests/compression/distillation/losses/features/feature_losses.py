"""What tests of feature losses share: gradients on both backends, a saved copy."""

from functools import cache, partial
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from compression.distillation.losses.batch import Batch


class Gradients(NamedTuple):
    """Of the summed loss, in the teacher, the student and the loss's weights."""

    teacher: list
    student: list
    weights: list


def maps(*shapes, batch=3, scale=1.0, seed=0):
    """One random float32 feature for each shape."""
    rng = np.random.default_rng(seed)
    return [scale * rng.normal(size=(batch, *s)).astype("float32") for s in shapes]


def build(loss, teacher, student):
    """`loss` itself, built for these features and with no two weights alike."""
    loss.build([f.shape for f in teacher], [f.shape for f in student])
    rng = np.random.default_rng(1)
    for weight in loss.trainable_weights:
        start = ops.convert_to_numpy(weight)
        weight.assign(start + rng.uniform(0, 0.1, weight.shape).astype("float32"))
    return loss


def value(loss, teacher, student, batch=None, training=False):
    """(batch,) numpy."""
    tensors = [[ops.convert_to_tensor(f) for f in side] for side in (teacher, student)]
    batch = batch or Batch()
    if keras.backend.backend() != "jax":
        batch = batch._replace(training=training)
        return ops.convert_to_numpy(loss.per_example(*tensors, batch))
    out, changed = _compiled(loss, training)(*_state(loss), *tensors, batch)
    for variable, new in zip(loss.non_trainable_variables, changed, strict=True):
        variable.assign(new)
    return np.asarray(out)


def gradients(loss, teacher, student, batch=None, training=False) -> Gradients:
    """Numpy gradients, zeros where nothing flows; no variable changes on JAX."""
    teacher, student = (
        [ops.convert_to_tensor(f, "float32") for f in side]
        for side in (teacher, student)
    )
    weights, fixed = _state(loss)
    batch = batch or Batch()
    if keras.backend.backend() == "jax":
        inputs = teacher, student, weights
        found = _compiled_gradient(loss, training)(inputs, fixed, batch)
    else:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch([teacher, student])
            each = loss.per_example(teacher, student, batch._replace(training=training))
            total = tf.reduce_sum(each)
        found = tape.gradient(
            total, [teacher, student, weights], unconnected_gradients="zero"
        )
    return Gradients(*([ops.convert_to_numpy(g) for g in side] for side in found))


@cache  # JAX would compile every operation on its own, which takes far longer
def _compiled(loss, training):
    import jax

    return jax.jit(partial(_stateless, loss, training))


@cache
def _compiled_gradient(loss, training):
    import jax

    def total(inputs, fixed, batch):
        teacher, student, weights = inputs
        out, _ = _stateless(loss, training, weights, fixed, teacher, student, batch)
        return out.sum()

    return jax.jit(jax.grad(total))


def _stateless(loss, training, weights, fixed, teacher, student, batch):
    batch = batch._replace(training=training)
    return loss.stateless_call(weights, fixed, teacher, student, batch=batch)


def _state(loss):
    return (
        [variable.value for variable in loss.trainable_variables],
        [variable.value for variable in loss.non_trainable_variables],
    )


def copied(loss):
    """The same loss by way of its config; Keras builds it where it was built."""
    return keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(loss)
    )


class Holder(keras.Model):
    """A model that holds a loss, to save it."""

    def __init__(self, loss):
        super().__init__()
        self.loss_layer = loss
        self.built = True


def reloaded(loss, folder):
    """A copy of the built `loss` with its weights, by way of a file."""
    path = folder / "loss.weights.h5"
    Holder(loss).save_weights(path)
    again = copied(loss)
    Holder(again).load_weights(path)
    return again
