"""Trains a pruned student on one device and on two; run by test_mirrored.py.

A process of its own: TensorFlow's devices can be divided only before they are used.
"""

import sys

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from compression.distillation import Distiller, Hints, SoftTargets
from compression.pruning import PolynomialDecay, Prune


def net(name, *, width, seed):
    keras.utils.set_random_seed(seed)
    image = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(
        width, 3, activation="relu", kernel_regularizer=keras.regularizers.L2(0.01)
    )(image)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(3)(x), name=name)


def trained(strategy, callbacks):
    """Weights and logs after some steps on the same global batches."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(64, 8, 8, 1)).astype("float32")
    labels, weights = rng.integers(0, 3, 64), rng.uniform(0.5, 2, 64)
    data = tf.data.Dataset.from_tensor_slices((images, labels, weights)).batch(16)
    with strategy.scope():
        distiller = Distiller(
            net("student", width=4, seed=0),
            teacher=net("teacher", width=6, seed=1),
            losses=[SoftTargets(2.0), Hints("stage1", "stage1", weight=0.5)],
            label_weight=0.3,
        )
        distiller.compile(keras.optimizers.SGD(0.2, momentum=0.9), metrics=["accuracy"])
    made = distiller.fit(data, epochs=3, shuffle=False, verbose=0, callbacks=callbacks)
    return distiller.get_weights(), made.history


cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(
    cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


def prune():
    return Prune(PolynomialDecay(0.5, begin=0, end=8, frequency=2), saliency="movement")


one, on_one = trained(tf.distribute.OneDeviceStrategy("CPU:0"), [prune()])
two, on_two = trained(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), [prune()])
for a, b in zip(one, two, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
assert on_one.keys() == on_two.keys(), on_two.keys()
for part in on_one:
    np.testing.assert_allclose(on_one[part], on_two[part], rtol=1e-4, err_msg=part)
assert on_two["sparsity"][-1] == 0.5
sys.exit()
