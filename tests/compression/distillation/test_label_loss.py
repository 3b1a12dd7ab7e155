"""Label losses: what fits integer labels and logits, and how the rest is refused."""

import keras
import numpy as np
import pytest
from keras import layers, losses, ops

from compression.distillation import Distiller, SoftTargets
from compression.distillation.label_loss import label_cross_entropy

pytestmark = pytest.mark.usefixtures("eagerly")

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(12, 5)).astype("float32")


def net(classes=3, seed=0):
    keras.utils.set_random_seed(seed)
    image = keras.Input((5,))
    return keras.Model(image, layers.Dense(classes, name="logits")(image), name="net")


def distiller(label_loss, classes=3):
    made = Distiller(
        net(classes), losses=[SoftTargets()], label_weight=1.0, label_loss=label_loss
    )
    made.compile("sgd")
    return made


def logged(label_loss, classes=3):
    made = distiller(label_loss, classes)
    labels = RNG.integers(0, max(classes, 2), 12)
    logits = made.student.predict(IMAGES, verbose=0)
    teacher = {"image": IMAGES, "teacher_logits": logits}
    logs = made.evaluate(teacher, labels, verbose=0, return_dict=True)
    return logs["label_loss"], logits, labels


def by_hand(logits, labels):
    if logits.shape[-1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return -np.log((e / e.sum(-1, keepdims=True))[np.arange(len(labels)), labels])


@pytest.mark.parametrize(
    ("classes", "label_loss"),
    [
        (3, None),
        (3, "sparse_categorical_crossentropy"),
        (3, losses.sparse_categorical_crossentropy),
        (3, losses.SparseCategoricalCrossentropy(from_logits=True)),
        (1, None),
        (1, "binary_crossentropy"),
        (1, losses.binary_crossentropy),
        (1, losses.BinaryCrossentropy(from_logits=True)),
    ],
)
def test_cross_entropy_of_logits_is_meant(classes, label_loss):
    got, logits, labels = logged(label_loss, classes)
    assert got == pytest.approx(by_hand(logits, labels).mean(), rel=1e-5)


@pytest.mark.parametrize("classes", [1, 4])
def test_cross_entropy_by_hand(classes):
    logits = 3 * RNG.normal(size=(7, classes)).astype("float32")
    labels = RNG.integers(0, max(classes, 2), (7, 1))
    got = ops.convert_to_numpy(label_cross_entropy(labels, logits))
    np.testing.assert_allclose(got, by_hand(logits, labels[:, 0]), rtol=1e-4)


class Nothing(losses.Loss):
    pass


@pytest.mark.parametrize(
    ("classes", "label_loss", "message"),
    [
        (3, losses.SparseCategoricalCrossentropy(), "has from_logits=False.*True"),
        (3, losses.CategoricalCrossentropy(from_logits=True), "integer.*Sparse.*True"),
        (3, losses.BinaryCrossentropy(from_logits=True), "integer labels with 3 logi"),
        (3, losses.MeanSquaredError(), "does not compare integer labels"),
        (3, "categorical_crossentropy", "'categorical_crossentropy' is no.*Sparse.*T"),
        (3, "nonsense", "label_loss='nonsense' is no.*from_logits=True"),
        (3, lambda y, z: z, "must be a keras.losses.Loss object.*got <function"),
        (3, losses.SparseCategoricalCrossentropy, "must be a keras.losses.Loss obje"),
        (3, 7, "must be a keras.losses.Loss object.*got 7"),
        (3, Nothing(), "label_loss Nothing has no `call`"),
        (1, losses.BinaryCrossentropy(), "has from_logits=False"),
        (1, losses.SparseCategoricalCrossentropy(from_logits=True), "Binary.*True"),
        (1, "sparse_categorical_crossentropy", "is no loss.*BinaryCrossentropy"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_way_out(classes, label_loss, message):
    with pytest.raises(ValueError, match=message) as caught:
        distiller(label_loss, classes)
    assert "label_loss" in str(caught.value)
    assert "from_logits=True" in str(caught.value)


def test_a_loss_of_ones_own_is_taken():
    class Own(losses.Loss):
        def call(self, y_true, y_pred):
            return ops.mean(y_pred, axis=-1)

    got, logits, _ = logged(Own())
    assert got == pytest.approx(logits.mean(), rel=1e-4, abs=1e-6)


def test_a_loss_that_is_no_value_for_each_example_is_refused():
    class Whole(losses.Loss):
        def call(self, y_true, y_pred):
            return ops.mean(y_pred)

    with pytest.raises(ValueError, match=r"label_loss 'whole'.*each example"):
        logged(Whole(name="whole"))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_is_too_little_for_it(policy):
    """A confident net's loss, 1.8e-5, would be 0 in half precision."""
    image = keras.Input((2,))
    outputs = layers.Activation("linear", dtype=policy, name="logits")(image)
    made = Distiller(
        keras.Model(image, outputs), losses=[SoftTargets()], label_weight=1.0
    )
    made.compile("sgd")
    logits = np.float32([[11, 0]])
    x = {"image": logits, "teacher_logits": logits}
    logs = made.evaluate(x, np.array([0]), verbose=0, return_dict=True)
    assert logs["label_loss"] == pytest.approx(np.log1p(np.exp(-11)), rel=1e-2)
