"""Layers that are exempt, and those with targets of their own."""

import keras
import numpy as np
import pytest
from keras import layers

from compression.distillation import Distiller, Hints, SoftTargets
from compression.pruning import ConstantSparsity, PolynomialDecay, Prune
from compression.weights import kernels

pytestmark = pytest.mark.usefixtures("eagerly")
IMAGES = np.random.default_rng(0).normal(size=(8, 6, 6, 1)).astype("float32")
LABELS = np.arange(8) % 3
HALF = ConstantSparsity(0.5)


def net(seed=0):
    """Kernels of 90, 90 + 100, 1600 and 60 weights."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(10, 3, name="conv1"),
            layers.SeparableConv2D(10, 3, padding="same", name="conv2"),
            layers.Flatten(),
            layers.Dense(10, name="fc"),
            layers.Dense(6, name="logits"),
        ]
    )


def zeros(prune, model=None):
    """By layer, after two steps."""
    model = model or net()
    fitted(model, prune)
    found = {}
    for layer in getattr(model, "student", model).layers:
        for w in layer.get_weights():
            if w.ndim > 1:
                found[layer.name] = found.get(layer.name, 0) + int((w == 0).sum())
    return found


def fitted(model, prune):
    if not model.compiled:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss)
    return model.fit(IMAGES, LABELS, batch_size=4, callbacks=[prune], verbose=0)


def test_first_and_last_are_exempt():
    prune = Prune(HALF, scope="layer", exempt=("first", "last"))
    assert zeros(prune) == {"conv1": 0, "conv2": 50, "fc": 800, "logits": 0}


def test_names_are_exempt():
    prune = Prune(HALF, scope="layer", exempt="conv*")
    assert zeros(prune) == {"conv1": 0, "conv2": 0, "fc": 800, "logits": 30}


def test_a_distillers_last_layer_is_the_students():
    distiller = Distiller(
        net(), teacher=net(1), losses=[SoftTargets()], label_weight=0.1
    )
    distiller.compile("sgd")
    found = zeros(Prune(HALF, scope="layer", exempt=("last",)), distiller)
    assert found["logits"] == 0 and found["conv1"] == 45


def test_a_losses_projector_is_no_part_of_the_student():
    """It would take zeros in the student's place, and is thrown away."""
    wide = keras.models.clone_model(net(1), clone_function=_wider)
    distiller = Distiller(
        student := net(), teacher=wide, losses=[Hints("conv1", "conv1")], label_weight=1
    )
    assert any("hints" in v.path for v in distiller.trainable_variables)
    prune = Prune(HALF)
    chosen = prune.chosen(distiller)
    few = "depthwise_kernel"  # stays dense
    own = [v.path for v in kernels(student) if v.name != few]
    assert [v.path for v in chosen] == own
    with pytest.raises(ValueError, match="no layer with a kernel is called 'hints"):
        Prune(HALF, exempt="hints*").chosen(distiller)


def _wider(layer):
    config = layer.get_config()
    if layer.name == "conv1":
        config["filters"] += 1
    return type(layer).from_config(config)


def test_targets_are_exact_and_the_scope_is_of_the_others():
    targets = {"conv1": 0.2, "conv*": 0.7, "logits": 0.0}
    model = net()
    prune = Prune(HALF, targets=targets)
    history = fitted(model, prune).history
    found = zeros(prune, model)
    assert found == {"conv1": 18, "conv2": 63 + 70, "fc": 800, "logits": 0}
    assert history["sparsity"] == [(18 + 133 + 800) / 1940]


def test_targets_follow_the_schedule():
    prune = Prune(PolynomialDecay(0.8, 0, 4, frequency=1), targets={"fc": 0.4})
    with pytest.warns(UserWarning, match="mid-schedule"):
        found = zeros(prune)
    assert found["fc"] == round(prune.schedule(1) / 2 * 1600)


def test_bad_names_leave_the_model_untouched():
    model = net()
    before = model.get_weights()
    for options, message in [
        (
            {"exempt": ("fc1",)},
            r"exempt: no layer with a kernel is called 'fc1'; there",
        ),
        ({"targets": {"c": 0.5}}, r"targets: no layer .*'c'; there are .*conv1, .*log"),
        ({"exempt": ("*",)}, "has no kernel to project"),
    ]:
        with pytest.raises(ValueError, match=message):
            fitted(model, Prune(HALF, **options))
    model.get_layer("fc").trainable = False
    model.compile("sgd", model.loss)
    with pytest.raises(ValueError, match=r"targets\['fc'\]: .*fc is frozen and would"):
        fitted(model, Prune(HALF, targets={"fc": 0.5}))
    assert all(v.constraint is None for v in model.trainable_variables)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    zeros(Prune(HALF, exempt=("fc",)), model)  # frozen, and spared: no contradiction


def test_bad_targets():
    with pytest.raises(ValueError, match=r"targets\['fc'\] must be in \[0, 1\), got 1"):
        Prune(HALF, targets={"fc": 1})
    with pytest.raises(
        ValueError, match="the schedule reaches its final sparsity, and"
    ):
        Prune(lambda step: 0.5, targets={"fc": 0.5})
