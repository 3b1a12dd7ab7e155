"""Nets that share weights: what training one of them would do to the other."""

import keras
import numpy as np
import pytest
from keras import layers

from compression.distillation import Distiller, MutualDistiller, SoftTargets, ensemble

pytestmark = pytest.mark.usefixtures("eagerly")

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(16, 6, 6, 1)).astype("float32")
LABELS = RNG.integers(0, 3, 16)


def backbone():
    image = keras.Input((6, 6, 1))
    x = layers.Conv2D(4, 3, name="conv")(image)
    x = layers.BatchNormalization(name="bn")(x)
    return keras.Model(image, layers.Flatten(name="flat")(x), name="backbone")


def net(name, features=None):
    features = features or backbone()
    image = keras.Input((6, 6, 1))
    return keras.Model(
        image, layers.Dense(3, name=f"{name}_fc")(features(image)), name=name
    )


def distiller(student, teacher):
    made = Distiller(student, teacher=teacher, losses=[SoftTargets()], label_weight=0.5)
    made.compile(keras.optimizers.SGD(0.1))
    return made


def test_a_teacher_that_would_be_changed_is_refused():
    shared = backbone()
    with pytest.raises(
        ValueError, match=r"'s' shares .*\['bn', 'conv'\].* teacher 't'.*copied"
    ):
        distiller(net("s", shared), net("t", shared))
    made = Distiller(net("s", shared), losses=[SoftTargets()], label_weight=0.5)
    with pytest.raises(ValueError, match="shares the weights"):
        made.set_teacher(net("t", shared))


def test_frozen_layers_may_be_shared_and_stay_as_they_are():
    """Statistics of batch normalisation, too."""
    shared = backbone()
    shared.trainable = False
    student, teacher = net("s", shared), net("t", shared)
    before = teacher.get_weights()
    distiller(student, teacher).fit(IMAGES, LABELS, verbose=0)
    for a, b in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_layers_that_are_unfrozen_later_are_refused_when_training_begins():
    shared = backbone()
    shared.trainable = False
    made = distiller(net("s", shared), net("t", shared))
    shared.get_layer("bn").trainable = True  # its statistics would move
    made.compile("sgd")
    with pytest.raises(ValueError, match=r"shares .* layers \['bn'\]"):
        made.fit(IMAGES, LABELS, verbose=0)


def test_one_layer_that_both_nets_hold_is_named():
    student, image = net("s"), keras.Input((6, 6, 1))
    head = student.get_layer("s_fc")
    teacher = keras.Model(image, head(backbone()(image)), name="t")
    with pytest.raises(ValueError, match=r"its layers \['s_fc'\] with the teacher 't'"):
        distiller(student, teacher)


def test_copies_may_learn_from_each_other():
    teacher = net("t")
    student = keras.models.clone_model(teacher)
    student.set_weights(teacher.get_weights())
    distiller(student, teacher)


def test_peers_that_share_weights_are_refused():
    shared = backbone()
    with pytest.raises(ValueError, match="shares the weights of its layers"):
        MutualDistiller([net("a", shared), net("b", shared)])
    shared.trainable = False
    made = MutualDistiller([net("a", shared), net("b", shared)])
    before = shared.get_weights()
    made.compile("sgd")
    made.fit(IMAGES, LABELS, verbose=0)
    for a, b in zip(before, shared.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_teachers_of_an_ensemble_may_share_weights():
    shared = backbone()
    both = ensemble([net("a", shared), net("b", shared)])
    distiller(net("s"), both)
