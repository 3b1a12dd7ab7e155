"""Averaged weights: what they are, that they are validated, kept, masked, resumed."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers

from compression.distillation import Distiller, SoftTargets
from compression.pruning import ConstantSparsity, Prune
from experiments.data import load, pipeline
from experiments.data.augment import Augment
from experiments.training import fit as training
from experiments.training.batch_norm import Reestimation
from experiments.training.optimizers import LabelLoss
from experiments.training.settings import Training

pytestmark = pytest.mark.usefixtures("eagerly")

BATCH = 300
STEPS = 1257 // BATCH


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def student(data, dropout=0.2):
    keras.utils.set_random_seed(0)
    image = keras.Input(data.image_shape)
    x = layers.Dense(16, name="hidden")(layers.Flatten()(image))
    x = layers.Dropout(dropout)(layers.ReLU()(layers.BatchNormalization()(x)))
    return keras.Model(image, layers.Dense(10, name="logits")(x))


def batches(data, first=0):
    return pipeline.training_batches(
        data, batch_size=BATCH, seed=0, augment=Augment(pad=2), first_epoch=first
    )


def fit(data, model, settings, folder, *callbacks):
    return training.fit(
        model,
        lambda first: batches(data, first),
        pipeline.evaluation_batches(data, "validation"),
        settings,
        loss=LabelLoss(),
        checkpoint=folder / "checkpoint.npz",
        callbacks=callbacks,
    )


class Record(keras.callbacks.Callback):
    """The trained weights after each step, and all weights around validation."""

    def __init__(self):
        super().__init__()
        self.steps, self.trained, self.begun = [], [], []

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append([v.numpy() for v in self.model.trainable_variables])
        if batch == STEPS - 1:
            self.trained.append([v.numpy() for v in self.model.weights])

    def on_epoch_begin(self, epoch, logs=None):
        self.begun.append([v.numpy() for v in self.model.weights])


class Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == (2, 2):
            raise KeyboardInterrupt


SETTINGS = {
    "ema": Training(
        epochs=3, batch_size=BATCH, averaging="ema", averaging_momentum=0.9
    ),
    "swa": Training(epochs=3, batch_size=BATCH, averaging="swa", averaging_from=0.4),
}


def pruning():
    return Prune(ConstantSparsity(0.5))


@pytest.fixture(scope="module", params=SETTINGS)
def whole(request, digits, tmp_path_factory):
    """A pruned training with averaging: settings, model, what came of it, record."""
    settings, model, record = SETTINGS[request.param], student(digits), Record()
    folder = tmp_path_factory.mktemp(request.param)
    trained = fit(digits, model, settings, folder, pruning(), record)
    return settings, model, trained, record


def expected_average(settings, record, epochs):
    """Of the trained kernels and biases after so many epochs, by the definition."""
    steps = record.steps[: epochs * STEPS]
    if settings.averaging == "swa":
        ends = steps[STEPS - 1 :: STEPS][1:]  # 0.4 of 3 epochs: all but the first
        return [np.mean(values, axis=0) for values in zip(*ends, strict=True)]
    average = steps[0]
    for step in steps[1:]:
        average = [0.9 * a + 0.1 * w for a, w in zip(average, step, strict=True)]
    return average


@pytest.mark.slow
def test_the_kept_weights_are_the_average_under_the_mask(whole):
    settings, model, trained, record = whole
    average = expected_average(settings, record, trained.best_epoch)
    last = record.steps[trained.best_epoch * STEPS - 1]
    for variable, expected, trained_last in zip(
        model.trainable_variables, average, last, strict=True
    ):
        if variable.name == "kernel":
            zeros = variable.numpy() == 0
            np.testing.assert_array_equal(zeros, trained_last == 0)
            expected = np.where(zeros, 0, expected)
        np.testing.assert_allclose(variable.numpy(), expected, atol=1e-5)
    kernels = [v.numpy() for v in model.trainable_variables if v.name == "kernel"]
    assert sum((k == 0).sum() for k in kernels) == sum(k.size for k in kernels) // 2


def test_what_is_kept_is_what_was_validated(whole, digits):
    settings, model, trained, _ = whole
    scores = trained.history["val_accuracy"]
    counted = scores[1:] if settings.averaging == "swa" else scores
    assert trained.best_score == max(counted) == scores[trained.best_epoch - 1]
    validation = pipeline.evaluation_batches(digits, "validation")
    model.compile(metrics=["accuracy"], loss=LabelLoss())
    _, score = model.evaluate(validation, verbose=0)
    assert score == pytest.approx(trained.best_score, abs=1e-6)


def test_training_goes_on_with_its_own_weights(whole):
    *_, record = whole
    for trained, begun in zip(record.trained[:2], record.begun[1:], strict=True):
        for a, b in zip(trained, begun, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.usefixtures("traced")
def test_averaging_compiled_by_xla(digits, tmp_path):
    settings, model, record = SETTINGS["ema"], student(digits), Record()
    settings = dataclasses.replace(settings, epochs=1, jit_compile=True)
    fit(digits, model, settings, tmp_path, record)
    average = expected_average(settings, record, 1)
    for variable, expected in zip(model.trainable_variables, average, strict=True):
        np.testing.assert_allclose(variable.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("whole", ["swa"], indirect=True)  # ema: see test_plateau.py
def test_an_interrupted_averaging_ends_like_a_whole_one(whole, digits, tmp_path):
    settings, model, trained, _ = whole
    again = student(digits)
    with pytest.raises(KeyboardInterrupt):
        fit(digits, again, settings, tmp_path, pruning(), Interrupt())
    again = student(digits)
    assert fit(digits, again, settings, tmp_path, pruning()) == trained
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_batch_norm_is_estimated_by_one_pass_and_nothing_else_moves(digits):
    model = student(digits, dropout=0.5)
    [norm] = [x for x in model.layers if isinstance(x, layers.BatchNormalization)]
    seeds = [v.numpy() for v in model.variables]
    images = np.random.default_rng(0).normal(size=(3, 20, *digits.image_shape))
    images = images.astype("float32")
    Reestimation(model)((x, None) for x in images)
    hidden = images.reshape(3, 20, -1) @ model.get_layer("hidden").kernel.numpy()
    moving = norm.moving_mean.numpy(), norm.moving_variance.numpy()
    np.testing.assert_allclose(moving[0], hidden.mean((0, 1)), atol=1e-5)
    np.testing.assert_allclose(moving[1], hidden.var(1).mean(0), rtol=1e-4)
    assert norm.momentum == 0.99
    for variable, before in zip(model.variables, seeds, strict=True):
        if "moving" not in variable.name:
            np.testing.assert_array_equal(variable.numpy(), before)


def test_in_a_distiller_the_student_is_estimated(digits):
    net, teacher = student(digits), student(digits)
    distiller = Distiller(
        net, teacher=teacher, losses=[SoftTargets()], label_weight=0.5
    )
    images = np.random.default_rng(0).normal(size=(2, 20, *digits.image_shape))
    Reestimation(distiller)(({"image": x}, None) for x in images.astype("float32"))
    [ours, theirs] = [
        next(x for x in m.layers if isinstance(x, layers.BatchNormalization))
        for m in (net, teacher)
    ]
    hidden = images.reshape(40, -1) @ net.get_layer("hidden").kernel.numpy()
    np.testing.assert_allclose(ours.moving_mean.numpy(), hidden.mean(0), atol=1e-5)
    assert not theirs.moving_mean.numpy().any()


def test_frozen_batch_norm_keeps_its_statistics(digits):
    model = student(digits)
    [norm] = [x for x in model.layers if isinstance(x, layers.BatchNormalization)]
    norm.moving_mean.assign(norm.moving_mean + 0.3)
    norm.trainable = False
    before = norm.moving_mean.numpy()
    Reestimation(model)([(np.ones((4, *digits.image_shape), "float32"),)] * 3)
    np.testing.assert_array_equal(norm.moving_mean.numpy(), before)
