"""The distiller: what it adds, what it leaves as it was, what it refuses.

Run on TensorFlow, and again on JAX by tests/compression/test_on_jax.py.
"""

import keras
import numpy as np
import pytest
from keras import layers

from compression.distillation import (
    Distiller,
    MutualDistiller,
    SoftTargets,
    teacher_logits,
)

pytestmark = pytest.mark.usefixtures("eagerly")

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(48, 6, 6, 1)).astype("float32")
LABELS = RNG.integers(0, 3, 48)


def net(name, *, classes=3, regularizer=None, activation=None, seed=0):
    keras.utils.set_random_seed(seed)
    image = keras.Input((6, 6, 1), name="image")
    x = layers.Conv2D(4, 3, kernel_regularizer=regularizer, name="conv")(image)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(0.2, name="drop")(x)
    x = layers.Dense(classes, activation=activation, name="logits")(x)
    return keras.Model(image, x, name=name)


def distiller(student=None, teacher=None, *, soft=0.9, label=0.1, temperature=4.0):
    made = Distiller(
        student or net("student"),
        teacher=teacher or net("teacher", seed=1),
        losses=[SoftTargets(temperature, weight=soft)],
        label_weight=label,
    )
    made.compile(keras.optimizers.SGD(0.01), metrics=["accuracy"])
    return made


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def log_softmax(logits):
    logits = logits - logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


@pytest.mark.backends
def test_the_loss_is_the_weighted_sum_of_its_parts():
    student, teacher = net("student"), net("teacher", seed=1)
    made = distiller(student, teacher, soft=0.7, label=0.3, temperature=2.0)
    logs = made.evaluate(IMAGES, LABELS, batch_size=16, verbose=0, return_dict=True)
    z, v = student.predict(IMAGES, verbose=0), teacher.predict(IMAGES, verbose=0)
    label = -log_softmax(z)[np.arange(48), LABELS].mean()
    p, q = log_softmax(v / 2), log_softmax(z / 2)
    soft = 4 * (np.exp(p) * (p - q)).sum(-1).mean()
    assert logs["label_loss"] == pytest.approx(label, rel=1e-4)
    assert logs["soft_targets"] == pytest.approx(soft, rel=1e-4)
    assert logs["loss"] == pytest.approx(0.3 * label + 0.7 * soft, rel=1e-4)


@pytest.mark.backends
def test_sample_weights_and_regularisation_count():
    student = net("student", regularizer=keras.regularizers.L2(0.5))
    teacher = net("teacher", seed=1)
    weights = RNG.uniform(0, 2, 48).astype("float32")
    made = distiller(student, teacher, soft=0.7, label=0.3, temperature=1.0)
    logs = made.evaluate(
        IMAGES, LABELS, sample_weight=weights, batch_size=48, verbose=0,
        return_dict=True,
    )  # fmt: skip
    z, v = student.predict(IMAGES, verbose=0), teacher.predict(IMAGES, verbose=0)
    label = (-log_softmax(z)[np.arange(48), LABELS] * weights).mean()
    p, q = log_softmax(v), log_softmax(z)
    soft = ((np.exp(p) * (p - q)).sum(-1) * weights).mean()
    penalty = 0.5 * (numpy(student.get_layer("conv").kernel) ** 2).sum()
    expected = 0.3 * label + 0.7 * soft + penalty
    assert logs["loss"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize(
    "jit_compile",
    [
        pytest.param(False, marks=pytest.mark.slow),
        pytest.param(True, marks=pytest.mark.backends),
    ],
)
def test_the_teacher_stays_as_it_was_and_the_student_learns(jit_compile):
    student, teacher = net("student"), net("teacher", seed=1)
    before = [w.copy() for w in teacher.get_weights()]
    made = distiller(student, teacher)
    made.compile(keras.optimizers.Adam(0.01), jit_compile=jit_compile)
    history = made.fit(IMAGES, LABELS, epochs=8, verbose=0).history
    assert teacher.trainable and all(layer.trainable for layer in teacher.layers)
    for a, b in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert history["soft_targets"][-1] < 0.5 * history["soft_targets"][0]


def test_evaluate_changes_nothing():
    made = distiller()
    before = [w.copy() for w in made.get_weights()]
    made.evaluate(IMAGES, LABELS, verbose=0)
    for a, b in zip(before, made.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_student_runs_once_a_step():
    calls = []

    class Counting(layers.Layer):
        def call(self, x):
            calls.append(1)
            return x

    image = keras.Input((6, 6, 1))
    x = layers.Dense(3)(layers.Flatten()(Counting()(image)))
    student = keras.Model(image, x)
    made = distiller(student)
    made.compile(keras.optimizers.SGD(0.01), run_eagerly=True)
    if keras.backend.backend() == "jax":
        pytest.skip("JAX always traces: calls cannot be counted eagerly")
    made.fit(IMAGES[:16], LABELS[:16], batch_size=16, verbose=0)
    calls.clear()
    made.fit(IMAGES, LABELS, batch_size=16, epochs=2, verbose=0)
    assert len(calls) == 2 * 3


def test_cached_logits_give_the_losses_of_the_teacher():
    student, teacher = net("student"), net("teacher", seed=1)
    live = distiller(student, teacher)
    cached = Distiller(student, losses=[SoftTargets(4.0, 0.9)], label_weight=0.1)
    cached.compile(keras.optimizers.SGD(0.01), metrics=["accuracy"])
    [logits] = teacher_logits(teacher, [[IMAGES[:30], IMAGES[30:]]])
    expected = live.evaluate(IMAGES, LABELS, verbose=0, return_dict=True)
    replayed = cached.evaluate(
        {"image": IMAGES, "teacher_logits": logits},
        LABELS,
        verbose=0,
        return_dict=True,
    )
    assert replayed == pytest.approx(expected, rel=1e-5)


def test_teacher_logits_refuses_views_of_different_images():
    with pytest.raises(ValueError, match=r"same images, got \[48, 30\]"):
        teacher_logits(net("teacher"), [[IMAGES], [IMAGES[:30]]])


def test_saves_without_the_teacher_and_reloads(tmp_path):
    made = distiller()
    made.fit(IMAGES, LABELS, verbose=0)
    made.save(tmp_path / "d.keras")
    again = keras.saving.load_model(tmp_path / "d.keras")
    np.testing.assert_allclose(
        made.predict(IMAGES, verbose=0), again.predict(IMAGES, verbose=0), rtol=1e-6
    )
    for a, b in zip(made.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(numpy(a), numpy(b))
    with pytest.raises(ValueError, match="call set_teacher"):
        again.evaluate(IMAGES, LABELS, verbose=0)
    again = keras.saving.load_model(tmp_path / "d.keras")  # JAX: the error emptied it
    again.set_teacher(net("teacher", seed=1))
    again.compile(keras.optimizers.SGD(0.01), metrics=["accuracy"])
    assert again.evaluate(IMAGES, LABELS, verbose=0) == pytest.approx(
        made.evaluate(IMAGES, LABELS, verbose=0), rel=1e-5
    )


def test_weights_are_loaded_without_changing_the_teacher(tmp_path):
    """Keras saves models that it finds under any name, also under a property's."""
    made, other = distiller(), net("other", seed=2)
    made.save_weights(tmp_path / "d.weights.h5")
    before = [w.copy() for w in other.get_weights()]
    again = distiller(net("again", seed=3), other)
    again.load_weights(tmp_path / "d.weights.h5")
    for a, b in zip(made.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_loaded_student_in_half_precision_has_its_loss_scaled(tmp_path):
    """A file says the layers' policies, not the net's."""
    half = {"dtype": "mixed_float16"}
    image = keras.Input((6, 6, 1))
    x = layers.Flatten(**half)(layers.Conv2D(4, 3, **half)(image))
    net("plain").save(tmp_path / "plain.keras")
    keras.Model(image, layers.Dense(3)(x), name="half").save(tmp_path / "half.keras")
    half, plain = (
        keras.saving.load_model(tmp_path / f"{name}.keras")
        for name in ("half", "plain")
    )
    scaled = keras.optimizers.LossScaleOptimizer
    for student, wanted in ((half, True), (plain, False)):
        made = distiller(student)
        assert isinstance(made.optimizer, scaled) == wanted
    mutual = MutualDistiller([plain, half])
    mutual.compile("sgd")
    assert isinstance(mutual.optimizer, scaled)


def test_mixed_precision_scales_the_loss_and_stays_finite():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        student = net("student")
    finally:
        keras.config.set_dtype_policy("float32")
    made = distiller(student)
    assert isinstance(made.optimizer, keras.optimizers.LossScaleOptimizer)
    history = made.fit(IMAGES, LABELS, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_callbacks_work(tmp_path):
    made = distiller()
    made.fit(
        IMAGES,
        LABELS,
        epochs=2,
        validation_data=(IMAGES, LABELS),
        verbose=0,
        callbacks=[
            keras.callbacks.BackupAndRestore(tmp_path / "backup"),
            keras.callbacks.ModelCheckpoint(tmp_path / "best.keras"),
            keras.callbacks.EarlyStopping(
                "val_accuracy", patience=1, restore_best_weights=True
            ),
        ],
    )
    assert (tmp_path / "best.keras").exists()


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_probabilities_are_refused(activation):
    squashed = net("squashed", activation=activation)
    with pytest.raises(ValueError, match=f"'squashed' ends in a {activation}.*logits"):
        distiller(teacher=squashed)
    with pytest.raises(ValueError, match=f"student 'squashed' ends in a {activation}"):
        distiller(squashed)


def test_a_softmax_layer_and_a_nested_one_are_refused():
    image = keras.Input((6, 6, 1))
    layered = keras.Model(image, layers.Softmax()(net("a")(image)), name="layered")
    nested = keras.Model(image, net("b", activation="softmax")(image), name="nested")
    for model in (layered, nested):
        with pytest.raises(ValueError, match="ends in a softmax"):
            distiller(teacher=model)


def test_a_model_without_a_graph_is_refused():
    class Subclassed(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match="built functional or sequential"):
        distiller(teacher=Subclassed())


def test_other_bad_input():
    student = net("student")
    with pytest.raises(ValueError, match="has 4 classes, student 'student' 3"):
        distiller(student, net("teacher", classes=4))
    with pytest.raises(ValueError, match="the same model"):
        distiller(student, student)
    with pytest.raises(ValueError, match="every loss has weight 0"):
        distiller(soft=0, label=0)
    with pytest.raises(ValueError, match="label_weight must not be negative, got -1"):
        distiller(label=-1)
    with pytest.raises(ValueError, match="losses need different names"):
        Distiller(student, losses=[SoftTargets(), SoftTargets()], label_weight=0.1)
    made = distiller()
    made.compile("sgd", loss="mse")
    with pytest.raises(ValueError, match=r"Distiller\(label_loss=...\)"):
        made.evaluate(IMAGES, LABELS, verbose=0)
