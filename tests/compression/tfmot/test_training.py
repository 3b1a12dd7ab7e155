"""What tf_keras is given to train with: ours of Keras 3, made again."""

import keras
import numpy as np
import pytest

from compression.tfmot import Training, quantize
from compression.tfmot.optimizers import optimizer_of
from compression.tfmot.training import batches, loss_of
from tests.compression.small_nets import on_images, small_net

tf_keras = pytest.importorskip("tf_keras", reason="tf_keras is not installed")


def test_an_optimizer_of_keras_3_is_made_again():
    rate = keras.optimizers.schedules.CosineDecay(0.1, 100)
    new = optimizer_of(keras.optimizers.SGD(rate, momentum=0.9, nesterov=True))
    assert isinstance(new, tf_keras.optimizers.SGD)
    assert new.momentum == 0.9
    assert new.nesterov
    for step in (0, 10, 50, 200):
        assert float(new._learning_rate(step)) == pytest.approx(float(rate(step)))


def test_weight_decay_spares_what_it_spared():
    given = keras.optimizers.AdamW(0.1, weight_decay=0.1)
    given.exclude_from_weight_decay(var_names=["bias", "gamma"])
    new = optimizer_of(given)
    layer = tf_keras.layers.Dense(2, name="bias_of")  # a name that shall not mislead
    layer.build((None, 2))
    kernel, bias = layer.weights
    assert new._use_weight_decay(kernel) and not new._use_weight_decay(bias)


def test_losses_give_what_they_give_in_keras_3():
    labels, outputs = np.array([0, 2]), np.array([[2.0, 1, 0], [0, 1, 1]], "f4")
    model = small_net()
    expected = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for given in (None, expected):
        got = loss_of(given, model)(labels, outputs)
        assert float(got) == pytest.approx(float(expected(labels, outputs)))
    squashed = on_images(keras.layers.Flatten(), keras.layers.Dense(3, "softmax"))
    chances = np.array([[0.5, 0.25, 0.25]], "f4")
    got = loss_of(None, squashed)(np.array([1]), chances)
    assert float(got) == pytest.approx(np.log(4), rel=1e-5)


def test_batches_of_two_inputs_and_of_labels_in_a_list():
    images = np.zeros((3, 2), "f4")
    data = batches([([images, images + 1], [0, 1, 2])], 3)
    [((one, other), labels)] = data.dataset
    assert one.shape == (3, 2) and (np.asarray(other) == 1).all()
    assert list(np.asarray(labels)) == [0, 1, 2]


def test_one_logit_is_two_classes():
    net = on_images(keras.layers.Flatten(), keras.layers.Dense(1))
    got = loss_of(None, net)(np.array([[1], [0]]), np.zeros((2, 1), "f4"))
    assert float(got) == pytest.approx(np.log(2), rel=1e-5)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.eye(3)[[0, 1]], r"integer classes \(n,\).* got \(2, 3\) .*give a loss"),
        (np.array([0.5, 1.0]), "integer classes"),
        (np.array([0, 3]), "labels must be 0 to 2, of 3 classes, got 0 to 3"),
        (np.array([-1, 0]), "labels must be 0 to 2, of 3 classes, got -1 to 0"),
    ],
)
def test_labels_that_are_no_classes(labels, message):
    images = tf_keras.Input((4,))
    net = tf_keras.Model(images, tf_keras.layers.Dense(3)(images))
    data = batches((np.zeros((2, 4), "f4"), labels), 2)
    with pytest.raises(ValueError, match=message):
        Training().fit(net, data)  # before it is looked at how it is compiled


@pytest.mark.parametrize("kind", ["arrays", "list"])
def test_data_of_every_kind_are_counted_and_can_be_gone_through_again(kind):
    images, labels = np.arange(10, dtype="f4").reshape(10, 1), np.arange(10)
    given = (images, labels)
    if kind == "list":
        given = [(images[i : i + 4], labels[i : i + 4]) for i in (0, 4, 8)]
    data = batches(given, batch_size=4)
    assert data.steps == 3
    for _ in range(2):
        seen = np.concatenate([np.asarray(y) for _, y in data.dataset])
        assert sorted(seen) == list(range(10))
    assert sum(map(len, data.images(6))) == 6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: batches(iter([]), 4), "must be a tf.data.Dataset, a tuple"),
        (lambda: batches([], 4), "hold no batch"),
        (lambda: batches([np.zeros((4, 8))], 4), r"must be batches \(images, labels\)"),
        (lambda: batches([{"image": 1, "label": 2}], 4), "must be batches"),
        (lambda: batches(np.zeros((4, 8)), 4), r"must be batches \(images, labels\)"),
        (lambda: optimizer_of("none"), "knows no optimizer 'none'"),
        (lambda: Training(epochs=1.5), "epochs must be a whole number"),
        (
            lambda: Training(callbacks=[keras.callbacks.EarlyStopping()]),
            "EarlyStopping is a callback of Keras 3",
        ),
        (
            lambda: optimizer_of(keras.optimizers.SGD(gradient_accumulation_steps=2)),
            "has gradient_accumulation_steps=2, which tf_keras does not know",
        ),
        (lambda: optimizer_of(keras.optimizers.Lamb()), "has no optimizer Lamb"),
        (lambda: Training(best_from=0), "best_from needs validation_data and metrics"),
        (
            lambda: Training(2, metrics=["accuracy"], validation_data=[], best_from=2),
            "best_from must be one of 2 epochs, the first being 0, got 2",
        ),
        (lambda: Training(steps_per_epoch=0), "steps_per_epoch must be at least 1"),
        (
            lambda: batches((np.zeros((6, 1)), np.zeros(6)), 2, steps=9),
            "end after 3 ba",
        ),
        (
            lambda: Training(
                optimizer=keras.optimizers.SGD(), learning_rate=1.0
            )._optimizer(),
            "learning_rate is for an optimizer given by name",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_data_without_end():
    import tensorflow as tf

    endless = tf.data.Dataset.from_tensors((0, 0)).repeat()
    with pytest.raises(ValueError, match="never end"):
        batches(endless, 4)


class Seen(keras.callbacks.Callback):
    """What a callback of Keras 3 is told in tf_keras."""

    def __init__(self):
        super().__init__()
        self.hooks, self.accuracies = [], []

    def on_train_begin(self, logs=None):
        self.hooks.append(("begin", self.params["steps"], self.params["epochs"]))

    def on_train_batch_end(self, batch, logs=None):
        self.hooks.append(batch)

    def on_epoch_end(self, epoch, logs=None):
        self.accuracies.append(logs["val_accuracy"])


@pytest.mark.usefixtures("eagerly")
def test_the_best_epoch_is_kept_of_data_without_end_while_others_look_on():
    import tensorflow as tf

    net = small_net()
    images = np.random.default_rng(0).normal(size=(64, 6, 6, 2)).astype("f4")
    own = np.asarray(net(images)).argmax(-1)  # all right at first, and unlearnt
    others = tf.data.Dataset.from_tensor_slices((images, (own + 1) % 4))
    rates = keras.optimizers.schedules.PiecewiseConstantDecay([1, 3], [0.0, 0.1, 3.0])
    seen = Seen()
    model = quantize(
        net,
        others.repeat().batch(32),
        epochs=3,
        steps_per_epoch=2,
        optimizer=keras.optimizers.SGD(rates),
        metrics=["accuracy"],
        validation_data=[(images, own)],
        best_from=1,
        onlookers=[seen],
    )
    assert seen.hooks == [("begin", 2, 3), *[0, 1] * 3]
    before, best, last = seen.accuracies
    assert before > best > last + 0.08
    got = (np.asarray(model(images)).argmax(-1) == own).mean()
    assert got == pytest.approx(best, abs=0.04)
