"""Nets of one logit z for two classes: as nets of the two logits (0, z)."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from compression.distillation import (
    ClassRelations,
    DecoupledSoftTargets,
    Distiller,
    LogitRegression,
    MutualDistiller,
    OwnDepth,
    SoftTargets,
    StandardizedSoftTargets,
    ensemble,
    generations,
    soft_target_loss,
)
from compression.distillation.losses.logits.decoupled import non_target_loss

pytestmark = pytest.mark.usefixtures("eagerly")

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(24, 4, 4, 1)).astype("float32")
LABELS = RNG.integers(0, 2, 24)


def net(name="net", *, seed=0):
    keras.utils.set_random_seed(seed)
    image = keras.Input((4, 4, 1))
    x = layers.Conv2D(3, 3, padding="same", activation="relu", name="conv")(image)
    x = layers.Flatten()(x)
    return keras.Model(image, layers.Dense(1, name="logits")(x), name=name)


def outputs(model):
    return model.predict(IMAGES, verbose=0).astype("float64")[:, 0]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def distiller(*losses, seed=0, **options):
    made = Distiller(
        net("student", seed=seed),
        teacher=net("teacher", seed=1),
        losses=losses,
        label_weight=0.5,
        **options,
    )
    made.compile(keras.optimizers.Adam(0.02), metrics=["accuracy"])
    return made


def evaluated(model):
    return model.evaluate(IMAGES, LABELS, batch_size=24, verbose=0, return_dict=True)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_soft_targets_are_those_of_sigmoids_and_of_two_logits(temperature):
    v, z = 3 * RNG.normal(size=(2, 9, 1)).astype("float32")
    got = ops.convert_to_numpy(soft_target_loss(v, z, temperature=temperature))
    p, q = (sigmoid(x[:, 0].astype("float64") / temperature) for x in (v, z))
    closed = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    np.testing.assert_allclose(got, temperature**2 * closed, rtol=1e-4, atol=1e-6)
    v, z = (np.concatenate([0 * x, x], axis=1) for x in (v, z))
    two = ops.convert_to_numpy(soft_target_loss(v, z, temperature=temperature))
    np.testing.assert_allclose(got, two, rtol=1e-5, atol=1e-7)


@pytest.mark.backends
def test_the_distiller_logs_what_sigmoids_give():
    made = distiller(SoftTargets(2.0), LogitRegression())
    z = outputs(made.student)
    logs = evaluated(made)
    chosen = np.where(LABELS == 1, sigmoid(z), sigmoid(-z))
    assert logs["label_loss"] == pytest.approx(-np.log(chosen).mean(), rel=1e-4)
    assert logs["accuracy"] == pytest.approx(((z > 0) == LABELS).mean())
    p, q = sigmoid(outputs(net(seed=1)) / 2), sigmoid(z / 2)
    soft = 4 * (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).mean()
    assert logs["soft_targets"] == pytest.approx(soft, rel=1e-3)
    # Between 0 and one half: Keras's threshold for logits would have counted class 0.
    assert ((z > 0) & (z < 0.5)).any()


def test_a_student_learns_and_comes_back(tmp_path):
    made = distiller(SoftTargets(), OwnDepth("conv"), seed=3)
    history = made.fit(IMAGES, LABELS, epochs=8, verbose=0).history
    for part in ("soft_targets", "label_loss", "own_depth"):
        assert 0 < history[part][-1] < history[part][0], part
    made.save(tmp_path / "d.keras")
    again = keras.saving.load_model(tmp_path / "d.keras")
    again.set_teacher(net("teacher", seed=1))
    assert evaluated(again) == pytest.approx(evaluated(made), rel=1e-5)


@pytest.mark.parametrize(
    "kind", [ClassRelations, DecoupledSoftTargets, StandardizedSoftTargets]
)
def test_losses_among_classes_refuse_one_logit(kind):
    with pytest.raises(ValueError, match="at least 2 logits, got 1.*SoftTargets"):
        distiller(kind())
    with pytest.raises(ValueError, match="at least 2 logits, got 1"):
        kind()(np.ones((2, 1), "float32"), np.ones((2, 1), "float32"))


def test_one_class_beside_the_label_has_nothing_to_say():
    """Two logits less the label's are one class, and not one logit for two."""
    v, z = RNG.normal(size=(2, 5, 2)).astype("float32")
    got = non_target_loss(v, z, np.array([0, 1, 0, 1, 0]), temperature=2.0)
    np.testing.assert_array_equal(ops.convert_to_numpy(got), 0)


def test_mutual_learning_of_one_logit():
    students = [net("a", seed=1), net("b", seed=2)]
    made = MutualDistiller(students)
    made.compile("sgd", metrics=["accuracy"])
    logs = evaluated(made)
    a, b = map(outputs, students)
    p, q = sigmoid(b), sigmoid(a)
    mutual = (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).mean()
    assert logs["a_mutual"] == pytest.approx(mutual, rel=1e-3)
    assert logs["a_accuracy"] == pytest.approx(((a > 0) == LABELS).mean())
    chosen = np.where(LABELS == 1, q, 1 - q)
    assert logs["a_label"] == pytest.approx(-np.log(chosen).mean(), rel=1e-4)
    mean = (sigmoid(a) + sigmoid(b)) / 2
    assert logs["accuracy"] == pytest.approx(((mean > 0.5) == LABELS).mean())


@pytest.mark.slow
def test_generations_of_one_logit():
    def train(student, teacher):
        made = Distiller(
            student, teacher=teacher, losses=[SoftTargets()], label_weight=0.5
        )
        made.compile(keras.optimizers.Adam(0.02))
        history = made.fit(IMAGES, LABELS, epochs=6, verbose=0).history
        assert 0 < history["soft_targets"][-1] < history["soft_targets"][0]

    students = [net("first", seed=3), net("second", seed=4)]
    assert list(generations(net("teacher", seed=1), students, train)) == students


def test_an_ensemble_averages_the_probabilities_of_one_logit():
    teachers = [net("a", seed=1), net("b", seed=2)]
    mean = 0.75 * sigmoid(outputs(teachers[0])) + 0.25 * sigmoid(outputs(teachers[1]))
    got = outputs(ensemble(teachers, weights=[3, 1]))
    np.testing.assert_allclose(sigmoid(got), mean, rtol=1e-4)
