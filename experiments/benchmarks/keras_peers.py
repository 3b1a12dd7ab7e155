"""Our nets, and the same nets with Keras's own layers only."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from architectures.layers import BatchNormalization, LocalResponseNormalization

LEARNING_RATE, MOMENTUM = 0.01, 0.9


class PlainResponseNormalization(layers.Layer):
    """Local response normalisation as usually written in Keras, by shifted squares.

    Its arguments are those of `LocalResponseNormalization`.
    """

    def __init__(self, size, *, bias, scale, power, **kwargs):
        super().__init__(**kwargs)
        self.size, self.bias, self.scale, self.power = size, bias, scale, power

    def call(self, inputs):
        reach, channels = self.size // 2, inputs.shape[-1]
        squares = ops.pad(ops.square(inputs), ((0, 0),) * 3 + ((reach, reach),))
        energy = sum(squares[..., i : i + channels] for i in range(self.size))
        return inputs / ops.power(self.bias + self.scale * energy, self.power)


PLAIN = {
    BatchNormalization: layers.BatchNormalization,
    LocalResponseNormalization: PlainResponseNormalization,
}


def plain(model: keras.Model) -> keras.Model | None:
    """A copy with equal weights, our layers replaced by their twins in `PLAIN`.

    None where there is nothing to replace.
    """
    if not any(type(layer) in PLAIN for layer in model.layers):
        return None

    def cloned(layer):
        kind = PLAIN.get(type(layer), type(layer))
        return kind.from_config(layer.get_config())

    copy = keras.models.clone_model(model, clone_function=cloned)
    copy.set_weights(model.get_weights())
    return copy


def randomize_batch_norm(model: keras.Model, random: np.random.Generator) -> None:
    """Give batch norm random numbers, in place: a fresh one changes next to nothing."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.gamma.shape
            for scale in (layer.gamma, layer.moving_variance):
                scale.assign(random.uniform(0.5, 1.5, shape))
            for shift in (layer.beta, layer.moving_mean):
                shift.assign(0.1 * random.normal(size=shape))


def inference(model: keras.Model, images: np.ndarray) -> Callable[[], np.ndarray]:
    """A call that gives the logits of `images`, in one traced graph."""
    images = tf.constant(images)
    traced = tf.function(lambda x: model(x, training=False), jit_compile=False)
    return lambda: traced(images).numpy()


def training(
    model: keras.Model, images: np.ndarray, labels: np.ndarray, *, steps: int = 1
) -> Callable[[], float]:
    """A call that does one step on the batch, as `fit` does it, and gives a mean loss.

    It is the mean since the first call: the first value is the loss of a step. With
    `steps` it does so many in one launch.
    """
    compile_as_peers(model, steps)
    return stepping(model, tf.data.Dataset.from_tensors((images, labels)).repeat())


def compile_as_peers(model: keras.Model, steps: int = 1) -> None:
    """The loss and the optimizer of all peers; `steps` in one launch of the graph."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(sgd(), loss, jit_compile=False, steps_per_execution=steps)


def sgd() -> keras.optimizers.Optimizer:
    """The optimizer of all peers."""
    return keras.optimizers.SGD(LEARNING_RATE, momentum=MOMENTUM)


def stepping(model: keras.Model, batches: tf.data.Dataset) -> Callable[[], float]:
    """A call that does the next step of a compiled model, as `fit` does it.

    It gives the mean loss since the first call.
    """
    model.make_train_function()
    step, batches = model.train_function, iter(batches)
    return lambda: float(step(batches)["loss"])
