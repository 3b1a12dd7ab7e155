"""Accumulated gradients: one update of many steps, counted and projected as steps."""

import keras
import numpy as np
import pytest
from keras import layers

from compression.pruning import ConstantSparsity, Prune
from experiments.training import optimizers
from experiments.training.optimizers import LabelLoss
from experiments.training.settings import Training

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(64, 6)).astype("float32")
LABELS = RNG.integers(0, 3, 64)


def trained(settings, steps, jit_compile=False):
    """A net after `steps` steps in order; pruned to half."""
    keras.utils.set_random_seed(0)
    image = keras.Input((6,))
    hidden = layers.Dense(8, activation="relu")(image)
    model = keras.Model(image, layers.Dense(3)(hidden))
    model.compile(
        optimizers.optimizer(settings, steps), loss=LabelLoss(), jit_compile=jit_compile
    )
    model.fit(
        IMAGES, LABELS, batch_size=settings.batch_size, shuffle=False, verbose=0,
        callbacks=[Prune(ConstantSparsity(0.5))],
    )  # fmt: skip
    return model


@pytest.fixture(scope="module")
def whole():
    """Two updates with batches of 32."""
    return trained(settings(batch_size=32), steps=2)


def settings(**others):
    return Training(
        epochs=1, optimizer="sgd", learning_rate=0.1, schedule="constant",
        weight_decay=0.01, clip_norm=0.05, **others,
    )  # fmt: skip


@pytest.mark.parametrize("jit_compile", [False, True])
def test_four_batches_of_8_are_one_of_32(whole, jit_compile):
    """Momentum, decoupled decay, clipping of the mean and masks included."""
    model = trained(settings(batch_size=8, accumulation=4), 8, jit_compile)
    zeros = 0
    for a, b in zip(whole.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(a == 0, b == 0)
        zeros += (b == 0).sum() if b.ndim == 2 else 0
    assert zeros == (6 * 8 + 8 * 3) // 2


def test_schedules_count_steps_not_updates():
    settings = Training(
        epochs=2, accumulation=2, optimizer="sgd", momentum=0.0, learning_rate=1.0,
        schedule="step", drops=(0.5,),
    )  # fmt: skip
    variable = keras.Variable(np.zeros(1, "float32"))
    optimizer = optimizers.optimizer(settings, 4)
    optimizer.build([variable])
    moved = []
    for _ in range(8):
        optimizer.apply([-np.ones(1, "float32")])
        moved.append(float(variable.numpy()[0]))
    np.testing.assert_allclose(moved, [0, 1, 1, 2, 2, 2.1, 2.1, 2.2], rtol=1e-6)


def test_the_average_of_weights_is_over_updates():
    settings = Training(
        epochs=1, accumulation=3, averaging="ema", averaging_momentum=0.8,
        optimizer="sgd", momentum=0.0, learning_rate=1.0, schedule="constant",
    )  # fmt: skip
    variable = keras.Variable(np.zeros(1, "float32"))
    optimizer = optimizers.optimizer(settings, 9)
    optimizer.build([variable])
    for _ in range(3 * 4 + 2):  # to the eve of the fifth update
        optimizer.apply([-np.ones(1, "float32")])
    average = 1.0  # begins as the weights of the first update
    for update in (2, 3, 4):
        average = 0.8 * average + 0.2 * update
    optimizer.finalize_variable_values([variable])
    np.testing.assert_allclose(variable.numpy(), [average], rtol=1e-5)
