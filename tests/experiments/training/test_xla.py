"""The choice between a plain step and one that XLA compiles."""

import keras
import numpy as np
from keras import layers

from experiments.training.xla import faster_compiled

RNG = np.random.default_rng(0)
BATCH = RNG.normal(size=(4, 6)).astype("float32"), RNG.integers(0, 3, 4)


@keras.saving.register_keras_serializable("tests")
class Unique(layers.Layer):
    """Runs an operation that XLA lacks, and passes its input on."""

    def call(self, x):
        import tensorflow as tf

        text = tf.strings.as_string(x)
        return x + 0 * tf.strings.to_number(text)

    def compute_output_shape(self, input_shape):
        return input_shape


def net(*inner):
    keras.utils.set_random_seed(0)
    image = x = keras.Input((6,))
    for layer in inner:
        x = layer(x)
    x = layers.BatchNormalization()(x)
    return keras.Model(image, layers.Dense(3, name="logits")(x), name="net")


def compiler(model):
    def compile_with(jit_compile):
        model.compile(
            keras.optimizers.SGD(0.1),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=jit_compile,
        )
        model.optimizer.build(model.trainable_variables)

    return compile_with


def test_what_xla_cannot_compile_is_trained_without_it(capsys):
    model = net(Unique())
    before = [w.copy() for w in model.get_weights()]
    assert faster_compiled(model, compiler(model), BATCH) is False
    line, end = capsys.readouterr().out.split("\n")
    assert line.startswith("net: trained without XLA, which cannot compile its step (")
    assert end == ""
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    compiler(model)(False)
    assert np.isfinite(model.train_on_batch(*BATCH))


def test_measuring_prints_nothing_and_leaves_the_weights(capsys):
    model = net()
    before = [w.copy() for w in model.get_weights()]
    assert faster_compiled(model, compiler(model), BATCH) in (True, False)
    assert capsys.readouterr().out == ""
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
