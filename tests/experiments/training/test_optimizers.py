"""Learning rates by hand, label loss by hand, weight decay where it belongs."""

import keras
import numpy as np
import pytest

from experiments.training import optimizers
from experiments.training.optimizers import LabelLoss
from experiments.training.settings import OPTIMIZERS, Training

STEPS = 10


def rates(settings, steps=range(0, 40)):
    schedule = optimizers.learning_rate(settings, STEPS)
    return np.array([float(schedule(step)) for step in steps])


def test_cosine_by_hand():
    got = rates(Training(epochs=4, learning_rate=0.2), [0, 10, 20, 40])
    np.testing.assert_allclose(
        got, 0.1 * (1 + np.cos(np.pi * np.array([0, 0.25, 0.5, 1]))), atol=1e-7
    )


def test_step_drops_at_its_step():
    settings = Training(epochs=4, learning_rate=1.0, schedule="step", drops=(0.5, 0.75))
    got = rates(settings, [19, 20, 29, 30])
    np.testing.assert_allclose(got, [1, 0.1, 0.1, 0.01], rtol=1e-6)


def test_constant_and_warm_up():
    settings = Training(
        epochs=4, learning_rate=0.5, schedule="constant", warmup_epochs=1
    )
    np.testing.assert_allclose(
        rates(settings, [0, 4, 9, 10, 39]), [0.05, 0.25, 0.5, 0.5, 0.5], rtol=1e-6
    )


def test_smoothed_label_loss_by_hand():
    logits = np.log([[0.7, 0.2, 0.1]]).astype("float32")
    value = LabelLoss(0.3)(np.array([0]), logits)
    target = np.array([0.7 + 0.1, 0.1, 0.1])
    assert float(value) == pytest.approx(-(target * np.log([0.7, 0.2, 0.1])).sum())


def test_the_loss_of_a_distribution_is_the_mean_of_its_classes():
    """With smoothing and class weights; integers are distributions of one class."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(8, 4)).astype("float32")
    labels = rng.integers(0, 4, (2, 8))
    share, weights = 0.3, [0.5, 2.0, 1.0, 0.25]
    loss = LabelLoss(0.1, weights, reduction=None)
    first, second = (np.array(loss(y, logits)) for y in labels)
    soft = share * np.eye(4)[labels[0]] + (1 - share) * np.eye(4)[labels[1]]
    np.testing.assert_allclose(
        loss(soft, logits), share * first + (1 - share) * second, rtol=1e-5
    )
    plain = np.array(LabelLoss(0.1, reduction=None)(labels[0], logits))
    np.testing.assert_allclose(first, plain * np.array(weights)[labels[0]], rtol=1e-6)
    column = loss(labels[0][:, None], logits)
    np.testing.assert_array_equal(column, first)
    again = LabelLoss.from_config(loss.get_config())
    np.testing.assert_array_equal(again(soft, logits), loss(soft, logits))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weight_decay_spares_biases_and_batch_norm(name):
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3, bias_initializer="ones"),
            keras.layers.BatchNormalization(),
        ]
    )
    before = [v.numpy() for v in model.trainable_variables]
    settings = Training(
        epochs=1, optimizer=name, learning_rate=0.1, weight_decay=0.5,
        schedule="constant",
    )  # fmt: skip
    optimizer = optimizers.optimizer(settings, STEPS)
    optimizer.build(model.trainable_variables)
    optimizer.apply([np.zeros_like(v) for v in before])
    after = [v.numpy() for v in model.trainable_variables]
    np.testing.assert_allclose(after[0], before[0] * (1 - 0.1 * 0.5), rtol=1e-6)
    for a, b in zip(before[1:], after[1:], strict=True):
        np.testing.assert_array_equal(a, b)
