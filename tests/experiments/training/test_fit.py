"""Training: stops, best weights, precision, and bit-exact resume."""

import keras
import numpy as np
import pytest
from keras import layers

from compression.distillation import Distiller, SoftTargets
from compression.pruning import PolynomialDecay, Prune
from experiments.data import load, pipeline
from experiments.data.augment import Augment
from experiments.training import devices
from experiments.training import fit as training
from experiments.training.optimizers import LabelLoss
from experiments.training.settings import Training

pytestmark = pytest.mark.usefixtures("eagerly")


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def student(data, seed=0, width=16):
    """A net with dropout and batch norm, small enough to be traced at once."""
    keras.utils.set_random_seed(seed)
    image = keras.Input(data.image_shape)
    x = layers.Dense(width, name="hidden")(layers.Flatten()(image))
    x = layers.BatchNormalization()(x)
    x = layers.Dropout(0.2)(layers.ReLU()(x))
    return keras.Model(image, layers.Dense(10, name="logits")(x))


def fit(data, model, settings, folder, **options):
    return training.fit(
        model,
        lambda first: pipeline.training_batches(
            data, batch_size=settings.batch_size, seed=0, augment=Augment(pad=2),
            first_epoch=first,
        ),
        pipeline.evaluation_batches(data, "validation"),
        settings,
        loss=None if isinstance(model, Distiller) else LabelLoss(),
        checkpoint=folder / "checkpoint.npz",
        **options,
    )  # fmt: skip


class Interrupt(keras.callbacks.Callback):
    def __init__(self, epoch, batch):
        super().__init__()
        self.at = (epoch, batch)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.usefixtures("traced")
def test_an_interrupted_training_ends_bit_for_bit_like_a_whole_one(digits, tmp_path):
    """Dropout, Adam, a pruning schedule, best weights: all of it comes back."""
    settings = Training(epochs=4, batch_size=300, learning_rate=3e-3)
    steps = 1257 // 300

    def run(folder, *callbacks):
        model = student(digits)
        teacher = student(digits, seed=1)
        distiller = Distiller(
            model, teacher=teacher, losses=[SoftTargets()], label_weight=0.5
        )
        prune = Prune(PolynomialDecay(0.7, begin=0, end=3 * steps, frequency=2))
        trained = fit(
            digits, distiller, settings, folder, callbacks=[prune, *callbacks],
            best_from=3,
        )  # fmt: skip
        return model.get_weights(), trained

    expected, whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", Interrupt(1, 2))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", Interrupt(2, 0))
    again, resumed = run(tmp_path / "cut")
    for a, b in zip(expected, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert resumed == whole
    assert whole.history["epoch"] == [1, 2, 3, 4]
    assert sum((w == 0).sum() for w in again if w.ndim > 1) > 0


def test_a_finished_training_is_not_run_again(digits, tmp_path):
    settings = Training(epochs=1, batch_size=600)
    model = student(digits)
    trained = fit(digits, model, settings, tmp_path)
    refuse = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: pytest.fail("it trained again")
    )
    other = student(digits, seed=5)
    assert fit(digits, other, settings, tmp_path, callbacks=[refuse]) == trained
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_model_keeps_its_best_validation_weights(digits, tmp_path):
    model = student(digits)
    settings = Training(epochs=4, batch_size=200, learning_rate=0.05)
    trained = fit(digits, model, settings, tmp_path)
    scores = trained.history["val_accuracy"]
    assert trained.best_score == max(scores)
    assert trained.best_epoch == 4 - scores[::-1].index(max(scores))
    validation = pipeline.evaluation_batches(digits, "validation")
    _, score = model.evaluate(validation, verbose=0)
    assert score == pytest.approx(max(scores), abs=1e-6)


class Spoil(keras.callbacks.Callback):
    """After the first epoch the net knows nothing, and no gradient reaches it."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            for weight in self.model.weights:
                weight.assign(0 * weight)


def test_the_last_epoch_can_be_kept_also_when_it_is_worse(digits, tmp_path):
    kept = {}
    for keep in ("best", "last"):
        settings = Training(epochs=2, batch_size=400, learning_rate=1e-2, keep=keep)
        (tmp_path / keep).mkdir()
        model = student(digits)
        trained = fit(digits, model, settings, tmp_path / keep, callbacks=[Spoil()])
        scores = trained.history["val_accuracy"]
        kept[keep] = trained.best_epoch, trained.best_score
        _, score = model.evaluate(
            pipeline.evaluation_batches(digits, "validation"), verbose=0
        )
        assert score == pytest.approx(trained.best_score, abs=1e-6)
        assert fit(digits, student(digits), settings, tmp_path / keep) == trained
    assert kept["last"] == (2, scores[-1])
    assert kept["best"] == (1, max(scores)) and max(scores) > scores[-1]


def test_early_stopping_is_remembered(digits, tmp_path):
    settings = Training(epochs=50, batch_size=400, learning_rate=1e-2, patience=2)
    trained = fit(digits, student(digits), settings, tmp_path, callbacks=[Spoil()])
    last = trained.best_epoch + settings.patience
    assert trained.history["epoch"] == list(range(1, last + 1))
    assert last < settings.epochs
    assert fit(digits, student(digits), settings, tmp_path) == trained


def poison(hook, value):
    """A callback that gives the logits' bias a value in the second epoch."""

    def spoil(epoch, logs=None):
        if epoch == 1:
            bias = callback.model.get_layer("logits").bias
            bias.assign(np.full(bias.shape, value))

    callback = keras.callbacks.LambdaCallback(**{hook: spoil})
    return callback


def test_nan_stops_and_keeps_the_last_finite_epoch(digits, tmp_path):
    spoil = poison("on_epoch_begin", np.nan)
    settings = Training(epochs=3, batch_size=600)
    with pytest.raises(
        FloatingPointError, match="nan in epoch 2, step 1.*holds epoch 1"
    ):
        fit(digits, student(digits), settings, tmp_path, callbacks=[spoil])
    with np.load(tmp_path / "checkpoint.npz", allow_pickle=False) as kept:
        assert all(np.isfinite(kept[name]).all() for name in kept if name != "state")
    fit(digits, student(digits), settings, tmp_path)  # goes on without the poison


def test_weights_that_are_not_finite_stop_though_the_loss_is(digits, tmp_path):
    """As behind a ReLU, which makes zeros of NaN: the loss stays that of guessing."""
    spoil = poison("on_epoch_end", np.inf)
    settings = Training(epochs=3, batch_size=600)
    with pytest.raises(
        FloatingPointError, match="logits/bias became not finite in epoch 2; .* epoch 1"
    ):
        fit(digits, student(digits), settings, tmp_path, callbacks=[spoil])
    trained = fit(digits, student(digits), settings, tmp_path)
    assert trained.history["epoch"] == [1, 2, 3]


def test_a_foreign_or_damaged_checkpoint_is_refused(digits, tmp_path):
    settings = Training(epochs=1, batch_size=600)
    fit(digits, student(digits), settings, tmp_path)
    with pytest.raises(ValueError, match="belongs to another model"):
        fit(digits, student(digits, width=17), settings, tmp_path)
    path = tmp_path / "checkpoint.npz"
    whole = path.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="is damaged.*delete it to train afresh"):
            fit(digits, student(digits), settings, tmp_path)


@pytest.mark.parametrize(("epochs", "most"), [(3, 0.9), (200, 0.975)])
def test_moving_statistics_do_not_outlast_a_training(digits, tmp_path, epochs, most):
    """An epoch has two steps; 0.999 would keep nearly all of what was there first."""
    model = student(digits)
    norm = model.layers[3]
    norm.momentum = 0.999
    seen = []

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(norm.momentum)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(digits, model, Training(epochs, 600), tmp_path, callbacks=[Stop()])
    assert seen == [most] and norm.momentum == 0.999


def test_jit_compile_is_measured_where_it_is_asked_for(digits, tmp_path, monkeypatch):
    asked = []

    def faster(model, compile_with, batch):
        compile_with(True)
        asked.append((batch[0].shape, model.jit_compile))
        return False

    monkeypatch.setattr(training, "faster_compiled", faster)
    model = student(digits)
    settings = Training(epochs=1, batch_size=600, jit_compile="measure")
    fit(digits, model, settings, tmp_path)
    assert asked == [((600, 8, 8, 1), True)] and model.jit_compile is False


@pytest.mark.slow
@pytest.mark.usefixtures("traced")
def test_jit_compile_is_measured_without_a_trace_on_the_weights(digits, tmp_path):
    expected, measured = student(digits), student(digits)
    settings = Training(epochs=1, batch_size=256)
    fit(digits, expected, settings, tmp_path / "a")
    settings = Training(epochs=1, batch_size=256, jit_compile="measure")
    fit(digits, measured, settings, tmp_path / "b")
    assert measured.jit_compile in (True, False)
    for a, b in zip(expected.get_weights(), measured.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-2, atol=2e-2)


def test_mixed_precision_trains_and_resumes(digits, tmp_path):
    settings = Training(epochs=2, batch_size=600, precision="mixed_float16")
    with devices.precision(settings.precision):
        model = student(digits)
    assert keras.config.dtype_policy().name == "float32"
    assert model.get_layer("hidden").compute_dtype == "float16"
    trained = fit(digits, model, settings, tmp_path)
    assert np.isfinite(trained.history["loss"]).all()
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
