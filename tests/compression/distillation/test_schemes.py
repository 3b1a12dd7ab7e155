"""More than one teacher and one student. Run on TensorFlow and on JAX."""

import keras
import numpy as np
import pytest
from keras import layers

from compression.distillation import (
    Distiller,
    MutualDistiller,
    OwnDepth,
    SoftTargets,
    ensemble,
    generations,
)

pytestmark = pytest.mark.usefixtures("eagerly")

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(48, 8, 8, 1)).astype("float32")
LABELS = RNG.integers(0, 3, 48)


def net(name, *, classes=3, seed=0, size=8):
    keras.utils.set_random_seed(seed)
    image = keras.Input((size, size, 1), name="image")
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv1")(image)
    x = layers.MaxPooling2D(name="pool")(x)
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="conv2")(x)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    return keras.Model(image, layers.Dense(classes, name="logits")(x), name=name)


def softmax(logits):
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def kl(p, q):
    return (p * (np.log(p) - np.log(q))).sum(-1)


def test_an_ensemble_averages_probabilities_with_its_weights():
    a, b = net("a", seed=1), net("b", seed=2)
    both = ensemble([a, b], weights=[3, 1])
    expected = 0.75 * softmax(a.predict(IMAGES, verbose=0)) + 0.25 * softmax(
        b.predict(IMAGES, verbose=0)
    )
    np.testing.assert_allclose(
        softmax(both.predict(IMAGES, verbose=0)), expected, rtol=1e-5
    )


def test_nets_of_one_name_make_an_ensemble(tmp_path):
    """As one architecture is built again and again."""
    nets = [net("a", seed=1), net("a", seed=2), net("a_2", seed=3), net("a", seed=1)]
    both = ensemble([*nets, nets[0]], average="logits")
    assert [each.name for each in nets] == ["a", "a", "a_2", "a"]
    wanted = [each.predict(IMAGES, verbose=0) for each in [*nets, nets[0]]]
    found = both.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(found, np.mean(wanted, axis=0), atol=1e-6)
    both.save(tmp_path / "both.keras")
    again = keras.models.load_model(tmp_path / "both.keras")
    np.testing.assert_allclose(again.predict(IMAGES, verbose=0), found, atol=1e-6)


def test_an_ensemble_averages_logits():
    a, b = net("a", seed=1), net("b", seed=2)
    both = ensemble([a, b], average="logits")
    expected = (a.predict(IMAGES, verbose=0) + b.predict(IMAGES, verbose=0)) / 2
    np.testing.assert_allclose(both.predict(IMAGES, verbose=0), expected, atol=1e-6)


def test_a_teacher_of_weight_zero_does_not_count():
    a, b = net("a", seed=1), net("b", seed=2)
    for average in ("probabilities", "logits"):
        alone = ensemble([a, b], weights=[2, 0], average=average)
        np.testing.assert_allclose(
            softmax(alone.predict(IMAGES, verbose=0)),
            softmax(a.predict(IMAGES, verbose=0)),
            rtol=1e-5,
        )


def test_an_ensemble_is_a_teacher_and_is_saved(tmp_path):
    teachers = [net("a", seed=1), net("b", seed=2)]
    both = ensemble(teachers)
    student = net("student")
    made = Distiller(student, teacher=both, losses=[SoftTargets()], label_weight=0.1)
    made.compile(keras.optimizers.Adam(0.01))
    history = made.fit(IMAGES, LABELS, epochs=6, verbose=0).history["soft_targets"]
    assert history[-1] < history[0]
    both.save(tmp_path / "both.keras")
    again = keras.saving.load_model(tmp_path / "both.keras")
    np.testing.assert_allclose(
        again.predict(IMAGES, verbose=0), both.predict(IMAGES, verbose=0), rtol=1e-6
    )


def test_an_ensemble_refuses_what_does_not_fit():
    a = net("a")
    with pytest.raises(ValueError, match="at least one teacher"):
        ensemble([])
    with pytest.raises(ValueError, match="differ in output_shape"):
        ensemble([a, net("b", classes=4)])
    with pytest.raises(ValueError, match="differ in input_shape"):
        ensemble([a, net("b", size=9)])
    for weights in ([1], [1, -1], [0, 0]):
        with pytest.raises(ValueError, match="2 teachers need as many weights"):
            ensemble([a, net("b")], weights=weights)
    with pytest.raises(ValueError, match="not 'median'"):
        ensemble([a], average="median")


def test_each_generation_is_the_teacher_of_the_next():
    first, nets = net("first"), [net(f"net{i}", seed=i) for i in range(3)]
    lessons = []
    trained = generations(
        first, nets, lambda student, teacher: lessons.append((teacher, student))
    )
    assert list(trained) == nets
    assert lessons == [(first, nets[0]), (nets[0], nets[1]), (nets[1], nets[2])]


@pytest.mark.backends
def test_mutual_losses_are_those_of_the_paper():
    students = [net(f"s{i}", seed=i) for i in range(3)]
    made = MutualDistiller(students, weight=0.5)
    made.compile("sgd", metrics=["accuracy"])
    logs = made.evaluate(IMAGES, LABELS, batch_size=48, verbose=0, return_dict=True)
    probabilities = [softmax(s.predict(IMAGES, verbose=0)) for s in students]
    total = 0.0
    for k, p in enumerate(probabilities):
        label = -np.log(p[np.arange(48), LABELS]).mean()
        mutual = np.mean(
            [kl(q, p).mean() for j, q in enumerate(probabilities) if j != k]
        )
        assert logs[f"s{k}_label"] == pytest.approx(label, rel=1e-4)
        assert logs[f"s{k}_mutual"] == pytest.approx(mutual, rel=1e-3)
        assert logs[f"s{k}_accuracy"] == pytest.approx((p.argmax(-1) == LABELS).mean())
        total += label + 0.5 * mutual
    assert logs["loss"] == pytest.approx(total, rel=1e-4)
    mean = np.mean(probabilities, axis=0).argmax(-1)
    assert logs["accuracy"] == pytest.approx((mean == LABELS).mean())


def test_mutual_students_come_closer_and_are_saved(tmp_path):
    students = [net(f"s{i}", seed=i) for i in range(2)]
    made = MutualDistiller(students, weight=5.0)
    made.compile(keras.optimizers.Adam(0.01), metrics=["accuracy"])
    history = made.fit(IMAGES, LABELS, epochs=3, verbose=0).history
    assert history["s0_mutual"][-1] < history["s0_mutual"][0]
    made.save(tmp_path / "mutual.keras")
    again = keras.saving.load_model(tmp_path / "mutual.keras")
    assert again.evaluate(IMAGES, LABELS, verbose=0) == pytest.approx(
        made.evaluate(IMAGES, LABELS, verbose=0), rel=1e-5
    )


def test_a_mutual_student_does_not_move_its_peer():
    """With labels that already fit, only the KL term moves a student."""
    students = [net(f"s{i}", seed=i) for i in range(2)]
    before = [w.copy() for w in students[1].get_weights()]
    made = MutualDistiller(students)
    students[1].trainable = False
    made.compile("sgd")
    made.fit(IMAGES, LABELS, verbose=0)
    for a, b in zip(before, students[1].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_mutual_learning_refuses_what_does_not_fit():
    a = net("a")
    with pytest.raises(ValueError, match="at least two"):
        MutualDistiller([a])
    with pytest.raises(ValueError, match="different names"):
        MutualDistiller([a, net("a")])
    with pytest.raises(ValueError, match=r"same classes, got \[3, 4\]"):
        MutualDistiller([a, net("b", classes=4)])
    with pytest.raises(ValueError, match="weight must not be negative"):
        MutualDistiller([a, net("b")], weight=-1)
    with pytest.raises(ValueError, match="temperature must be positive"):
        MutualDistiller([a, net("b")], temperature=0)


def own_depth(student, **options):
    made = Distiller(
        student, losses=[OwnDepth(["stage1", "stage2"], **options)], label_weight=1.0
    )
    made.compile(keras.optimizers.Adam(0.01), metrics=["accuracy"])
    return made


def test_own_depth_needs_no_teacher_and_leaves_the_net_as_it_was(tmp_path):
    student = net("student")
    weights = len(student.weights)
    made = own_depth(student)
    history = made.fit(IMAGES, LABELS, epochs=3, verbose=0).history
    assert history["own_depth"][-1] < history["own_depth"][0]
    assert len(student.weights) == weights
    assert len(made.trainable_weights) == weights + 2 * 6
    made.save(tmp_path / "own.keras")
    again = keras.saving.load_model(tmp_path / "own.keras")
    assert again.evaluate(IMAGES, LABELS, verbose=0) == pytest.approx(
        made.evaluate(IMAGES, LABELS, verbose=0), rel=1e-5
    )


def test_the_loss_of_the_heads_is_that_of_the_paper():
    student = net("student")
    made = own_depth(student, temperature=2.0, soft_weight=0.4, hint_weight=0.1)
    logs = made.evaluate(IMAGES, LABELS, batch_size=48, verbose=0, return_dict=True)
    taps = keras.Model(
        student.inputs,
        [student.get_layer(n).output for n in ("conv1", "conv2", "gap", "logits")],
    ).predict(IMAGES, verbose=0)
    [loss] = made.distillation_losses
    total = 0.0
    for head, feature in zip(loss.heads, taps[:2], strict=True):
        own = feature
        for layer in head[:3]:
            own = keras.ops.convert_to_numpy(layer(own))
        logits = keras.ops.convert_to_numpy(head[3](own))
        label = -np.log(softmax(logits)[np.arange(48), LABELS])
        soft = 4 * kl(softmax(taps[3] / 2), softmax(logits / 2))
        hint = ((own - taps[2]) ** 2).mean(-1)
        total += (0.6 * label + 0.4 * soft + 0.1 * hint).mean()
    assert logs["own_depth"] == pytest.approx(total, rel=1e-3)


@pytest.mark.backends
def test_what_the_heads_learn_from_does_not_move():
    student = net("student")
    before = {layer.name: layer.get_weights() for layer in student.layers}
    made = Distiller(student, losses=[OwnDepth("stage1")], label_weight=0.0)
    made.compile("sgd")
    made.fit(IMAGES, LABELS, verbose=0)
    moved = {
        layer.name
        for layer in student.layers
        if any(map(np.any, map(np.subtract, layer.get_weights(), before[layer.name])))
    }
    assert moved == {"conv1"}


def test_own_depth_refuses_bad_settings():
    with pytest.raises(ValueError, match="soft_weight must be from 0 to 1, got 2"):
        OwnDepth("stage1", soft_weight=2)
    with pytest.raises(ValueError, match="hint_weight must not be negative"):
        OwnDepth("stage1", hint_weight=-1)
    with pytest.raises(ValueError, match="needs maps"):
        Distiller(net("s"), losses=[OwnDepth("gap")], label_weight=1.0)
    with pytest.raises(ValueError, match="no layer or stage called 'stage9'.*stage1"):
        Distiller(net("s"), losses=[OwnDepth("stage9")], label_weight=1.0)


def test_a_mutual_distiller_has_the_name_that_it_is_given():
    students = [net(f"s{i}", seed=i) for i in range(2)]
    assert MutualDistiller(students, name="peers").name == "peers"
    assert MutualDistiller(students).name == "mutual_distiller"
