"""Nets that learn sparsity: made, trained with others, resumed, and plain again."""

import keras
import numpy as np
import pytest
from keras import layers

from compression.distillation import Distiller, SoftTargets
from compression.pruning import (
    KeepZeros,
    LearntSparsity,
    l0_gates,
    plain_net,
    variational_dropout,
)

pytestmark = pytest.mark.usefixtures("eagerly")
RNG = np.random.default_rng(0)
METHODS = [variational_dropout, l0_gates]
X = RNG.normal(size=(24, 6, 6, 1)).astype("float32")
Y = RNG.integers(0, 3, 24)
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def net():
    """With a model inside, a shared layer, batch norm and a frozen layer."""
    inner = keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            layers.Conv2D(3, 3, padding="same", activation="relu", name="conv"),
        ],
        name="inner",
    )
    frozen = layers.Dense(4, name="frozen")
    shared = layers.Dense(4, name="shared", activation="tanh")
    x = image = keras.Input((6, 6, 1), name="image")
    x = layers.Conv2D(3, 3, name="conv", use_bias=False)(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Flatten(name="flatten")(inner(x))
    x = shared(shared(frozen(x)))
    model = keras.Model(image, layers.Dense(3, name="logits")(x), name="net")
    frozen.trainable = False
    return model


def fitted(model, epochs=1, *callbacks):
    model.compile(keras.optimizers.Adam(0.01), LOSS)
    options = {"batch_size": 8, "shuffle": False, "verbose": 0}
    model.fit(X, Y, epochs=epochs, callbacks=list(callbacks), **options)
    return model


def kinds(model):
    """A `Sequential` inside becomes functional; all else stays what it is."""
    return [
        ("model" if isinstance(layer, keras.Model) else type(layer), layer.name)
        for layer in model.layers
        if not isinstance(layer, layers.InputLayer)  # a `Sequential` shows none
    ]


@pytest.mark.parametrize("method", METHODS)
def test_a_plain_net_of_the_same_layers_comes_out(method):
    model = net()
    before = model.get_weights()
    learning = method(model, examples=24, exempt=("logits",))
    learnt = [v.path for v in learning.trainable_variables if v.name.startswith("log_")]
    assert sorted(path.split("/")[-2] for path in learnt) == ["conv", "conv", "shared"]
    fitted(learning)
    for now, was in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, was)
    plain = plain_net(learning)
    assert kinds(plain) == kinds(model)
    assert kinds(plain.get_layer("inner")) == kinds(model.get_layer("inner"))
    assert [w.name for w in plain.weights] == [w.name for w in model.weights]
    np.testing.assert_allclose(plain(X), learning(X), rtol=1e-5, atol=1e-6)
    moved = plain.get_layer("norm").moving_mean
    assert np.abs(np.asarray(moved)).max() > 0
    fitted(plain)  # it is no part of what it came from
    assert np.abs(np.asarray(plain(X)) - np.asarray(learning(X))).max() > 1e-3


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.slow
def test_training_goes_on_where_it_was_saved(method, tmp_path):
    keras.utils.set_random_seed(3)
    learning = fitted(method(net(), examples=24), 1, LearntSparsity(warmup=2))
    learning.save(tmp_path / "net.keras")
    again = keras.models.load_model(tmp_path / "net.keras")
    for saved, loaded in zip(learning.variables, again.variables, strict=True):
        loaded.assign(
            np.asarray(saved)
        )  # Keras keeps no random states, our checkpoints do
    for each in (learning, again):
        rest = {"initial_epoch": 1, "epochs": 2, "callbacks": [LearntSparsity(2)]}
        each.fit(X, Y, batch_size=8, shuffle=False, verbose=0, **rest)
    for a, b in zip(learning.weights, again.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6, err_msg=a.path)
    assert "factor" in {weight.name for weight in again.weights}
    np.testing.assert_allclose(plain_net(again)(X), plain_net(learning)(X), atol=1e-5)


def test_the_penalty_rises_and_the_zeros_are_logged():
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            layer = self.model.get_layer("fc")
            seen.append((float(layer.factor), logs["sparsity"]))
            layer.log_alpha.assign([[-9.0, 9.0]] * 3)

    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="fc")])
    gated = l0_gates(model, examples=9)
    gated.compile("sgd", "mse")
    x, y = np.ones((4, 3)), np.ones((4, 2))
    gated.fit(x, y, epochs=4, callbacks=[LearntSparsity(warmup=2), Watch()], verbose=0)
    assert seen == [(0.0, 0.0), (0.5, 0.5), (1.0, 0.5), (1.0, 0.5)]


def test_a_distiller_trains_it():
    teacher = net()
    student = variational_dropout(net(), examples=24)
    distiller = Distiller(
        student,
        teacher=teacher,
        losses=[SoftTargets(2.0, weight=1.0)],
        label_weight=0.5,
    )
    distiller.compile("adam")
    history = distiller.fit(X, Y, verbose=0, callbacks=[LearntSparsity()]).history
    divergence = sum(float(each) for each in student.losses)
    total = history["loss"][-1]
    parts = 0.5 * history["label_loss"][-1] + history["soft_targets"][-1]
    assert divergence > 1
    assert total - parts == pytest.approx(divergence, rel=0.1)
    assert kinds(plain_net(distiller.student)) == kinds(teacher)


def test_float16_has_no_infinite_gradients():
    """Images are blank in places: the variance of what they give is 0."""
    image = keras.Input((6, 6, 1))
    x = layers.Conv2D(3, 3, dtype="mixed_float16")(image)
    x = layers.Dense(3, dtype="mixed_float16")(layers.Flatten()(x))
    noisy = variational_dropout(keras.Model(image, x), examples=24)
    noisy.compile("adam", LOSS)
    noisy.fit(np.zeros_like(X), Y, verbose=0)
    assert all(np.isfinite(np.asarray(w)).all() for w in noisy.weights)
    assert np.isfinite(np.asarray(plain_net(noisy)(X))).all()


def test_zeros_stay_in_further_training():
    plain = net()
    kernel = plain.get_layer("conv").kernel
    kernel.assign(np.asarray(kernel) * (RNG.uniform(size=kernel.shape) < 0.5))
    logits = plain.get_layer("logits").kernel
    logits.assign(np.zeros(logits.shape))
    zeros = np.asarray(kernel) == 0
    before = np.asarray(kernel).copy()
    fitted(plain, 2, KeepZeros(exempt=("logits",)))
    np.testing.assert_array_equal(np.asarray(kernel) == 0, zeros)
    assert not np.allclose(np.asarray(kernel), before)
    assert np.count_nonzero(np.asarray(logits)) == logits.shape[0] * 3
    assert kernel.constraint is None


def test_refuses():
    depthwise = keras.Sequential(
        [keras.Input((5, 5, 2)), layers.DepthwiseConv2D(3, name="depthwise")]
    )
    message = "for 'depthwise', a DepthwiseConv2D: .* exempt=\\('depthwise',\\)"
    with pytest.raises(ValueError, match=message):
        variational_dropout(depthwise, examples=9)
    with pytest.raises(ValueError, match="'net' learns no sparsity: make it with"):
        plain_net(net())
    with pytest.raises(ValueError, match="'net' learns no sparsity"):
        fitted(net(), 1, LearntSparsity())
    with pytest.raises(ValueError, match="warmup must not be negative, got -1"):
        LearntSparsity(-1)


@pytest.mark.parametrize("method", METHODS)
def test_what_comes_out_stays_regularised(method):
    image = keras.Input((5,))
    penalised = layers.Dense(4, activity_regularizer=keras.regularizers.L1(1.0))
    model = keras.Model(image, layers.Dense(2)(penalised(image)))
    x = RNG.normal(size=(3, 5)).astype("float32")
    learning = method(model, examples=64)
    learning = keras.models.clone_model(learning)  # made again of its config
    learning.set_weights(method(model, examples=64).get_weights())
    model(x)
    learning(x)
    wanted = np.abs(model.layers[1](x)).sum() / 3
    assert float(model.losses[0]) == pytest.approx(wanted, rel=1e-5)
    assert len(learning.losses) == 3  # and the penalties of two layers
