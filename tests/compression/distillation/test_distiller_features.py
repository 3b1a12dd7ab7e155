"""The distiller with losses between features: what they get, what is kept, resuming.

Run on TensorFlow, and again on JAX by tests/compression/test_on_jax.py.
"""

import keras
import numpy as np
import pytest
from keras import layers

from compression.distillation import (
    AttentionTransfer,
    DistillationLoss,
    Distiller,
    Hints,
    MutualDistiller,
    Renormalise,
    SimilarityPreserving,
    SoftTargets,
    Views,
    cached_outputs,
    ensemble,
    stages,
    tap,
)

pytestmark = pytest.mark.usefixtures("eagerly")

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(48, 12, 12, 1)).astype("float32")
LABELS = RNG.integers(0, 3, 48)
schedules = keras.optimizers.schedules


def net(name, *, width=4, size=12, channels=1, drop=0.1, seed=0):
    keras.utils.set_random_seed(seed)
    image = keras.Input((size, size, channels), name="image")
    x = layers.Conv2D(width, 3, padding="same", name="conv1")(image)
    x = layers.BatchNormalization(name="bn1")(x)
    x = layers.ReLU(name="relu1")(x)
    x = layers.MaxPooling2D(name="pool1")(x)
    x = layers.Conv2D(2 * width, 3, padding="same", name="conv2")(x)
    x = layers.ReLU(name="relu2")(x)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    x = layers.Dropout(drop, name="drop")(x)
    return keras.Model(image, layers.Dense(3, name="logits")(x), name=name)


def features(model, images, *names):
    outputs = [model.get_layer(name).output for name in names]
    return keras.Model(model.inputs, outputs).predict(images, verbose=0)


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def distiller(student, teacher, losses=None, *, label=0.5, **options):
    losses = losses or [SoftTargets(2.0), Hints("stage2", "stage2", weight=3.0)]
    made = Distiller(
        student, teacher=teacher, losses=losses, label_weight=label, **options
    )
    made.compile(keras.optimizers.Adam(0.01), metrics=["accuracy"])
    return made


def same_weights(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def evaluated(made, x=IMAGES):
    return made.evaluate(x, LABELS, batch_size=48, verbose=0, return_dict=True)


def test_a_feature_loss_gets_the_layers_that_it_names():
    student, teacher = net("student"), net("teacher", width=6, seed=1)
    made = distiller(student, teacher)
    logs = evaluated(made)
    own, wanted = (features(m, IMAGES, "relu2", "gap")[0] for m in (student, teacher))
    kernel = numpy(made.distillation_losses[1].projectors[0].kernel)
    hint = ((own @ kernel[0, 0] - wanted) ** 2).mean()
    assert logs["hints"] == pytest.approx(hint, rel=1e-4)
    parts = 0.5 * logs["label_loss"] + logs["soft_targets"] + 3 * logs["hints"]
    assert logs["loss"] == pytest.approx(parts, rel=1e-5)


def test_projectors_learn_and_are_no_part_of_the_student():
    student, teacher = net("student"), net("teacher", width=6, seed=1)
    names = [w.path for w in student.weights]
    made = distiller(student, teacher)
    [projector] = made.distillation_losses[1].projectors
    before = numpy(projector.kernel).copy()
    frozen = [w.copy() for w in teacher.get_weights()]
    history = made.fit(IMAGES, LABELS, epochs=4, batch_size=24, verbose=0).history
    assert history["hints"][-1] < history["hints"][0]
    assert not np.array_equal(numpy(projector.kernel), before)
    assert [w.path for w in student.weights] == names
    same_weights(frozen, teacher.get_weights())
    assert teacher.trainable and all(layer.trainable for layer in teacher.layers)
    logits = made.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(logits, student.predict(IMAGES, verbose=0), atol=1e-6)
    np.testing.assert_allclose(made.predict_on_batch(IMAGES), logits, atol=1e-5)


def test_sequential_models_distil():
    def stacked(width):
        return keras.Sequential(
            [
                layers.Input((12, 12, 1)),
                layers.Conv2D(width, 3, activation="relu", name="conv"),
                layers.GlobalAveragePooling2D(name="gap"),
                layers.Dense(3, name="logits"),
            ]
        )

    made = distiller(stacked(4), stacked(6), [Hints("conv", "stage1"), SoftTargets()])
    history = made.fit(IMAGES, LABELS, epochs=3, verbose=0).history
    assert history["hints"][-1] < history["hints"][0]


def test_no_projector_where_channels_agree_and_none_for_methods_without():
    student, teacher = net("student"), net("teacher", seed=1)
    made = distiller(
        student,
        teacher,
        [Hints("relu1", "relu1"), SimilarityPreserving("stage2", "stage2")],
    )
    assert len(made.trainable_weights) == len(student.trainable_weights)


def test_evaluate_changes_nothing_with_feature_losses():
    made = distiller(net("student"), net("teacher", width=6, seed=1))
    before = [w.copy() for w in made.get_weights()]
    evaluated(made)
    same_weights(before, made.get_weights())


def test_the_student_runs_once_a_step_with_feature_losses():
    if keras.backend.backend() == "jax":
        pytest.skip("JAX always traces: calls cannot be counted eagerly")
    calls = []

    class Counting(layers.Layer):
        def call(self, x):
            calls.append(1)
            return x

    image = keras.Input((12, 12, 1))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv1")(
        Counting()(image)
    )
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="conv2")(x)
    x = layers.GlobalAveragePooling2D()(x)
    student = keras.Model(image, layers.Dense(3)(x))
    losses = [
        AttentionTransfer(["stage1", "stage2"], ["conv1", "conv2"]),
        Hints("stage2", "conv2"),
        SoftTargets(),
    ]
    made = distiller(student, net("teacher", width=6, seed=1), losses)
    made.compile("sgd", run_eagerly=True)
    made.fit(IMAGES[:16], LABELS[:16], batch_size=16, verbose=0)
    calls.clear()
    made.fit(IMAGES, LABELS, batch_size=16, verbose=0)
    assert len(calls) == 3


def test_cached_features_give_the_losses_of_the_teacher(tmp_path):
    losses = [SoftTargets(), Hints(["stage1", "stage2"], ["stage2", "stage2"])]
    made = distiller(net("student"), net("teacher", width=6, seed=1), losses)
    live = evaluated(made)
    model = made.teacher_outputs
    assert set(model.output) == made.teacher_keys
    assert model.output["teacher_stage1_6x6"].shape == (None, 6, 6, 6)
    views = Views(lambda view, first: [IMAGES[first:]], len(IMAGES), "test")
    with cached_outputs(model, views, root=tmp_path, log=lambda line: None) as cached:
        outputs = {name: np.array(rows[0]) for name, rows in cached.outputs.items()}
    assert all(rows.dtype == "float16" for rows in outputs.values())
    replayed = evaluated(made, {"image": IMAGES, **outputs})
    assert replayed == pytest.approx(live, rel=2e-3)
    zeros = {name: np.zeros_like(rows) for name, rows in outputs.items()}
    assert evaluated(made, {"image": IMAGES, **zeros})["hints"] < live["hints"]


def test_teacher_and_student_may_differ_in_size_and_normalisation():
    """The teacher gets the student's images resized, in its channels and scale."""
    teacher = net("teacher", size=12, channels=3, seed=1)
    have, want = ([0.5], [0.25]), ([0.4, 0.5, 0.6], [0.2, 0.3, 0.4])
    made = distiller(
        net("student", size=24),
        teacher,
        teacher_input=Renormalise(have, want),
    )
    pixels = RNG.uniform(size=(8, 24, 24, 1)).astype("float32")
    images = (pixels - 0.5) / 0.25
    halved = keras.layers.Resizing(12, 12, antialias=True)(np.repeat(pixels, 3, -1))
    expected = (np.array(halved) - np.float32(want[0])) / np.float32(want[1])
    np.testing.assert_allclose(
        made.teacher_outputs.predict(images, verbose=0)["teacher_logits"],
        teacher.predict(expected, verbose=0),
        rtol=1e-4,
        atol=1e-5,
    )
    labels = RNG.integers(0, 3, 8)
    history = made.fit(images, labels, epochs=4, verbose=0).history
    assert history["soft_targets"][-1] < history["soft_targets"][0]


class Difference(DistillationLoss):
    """Mean absolute difference of one pair of layers."""

    def per_example(self, teacher, student, batch):
        [wanted], [own] = teacher, student
        return keras.ops.mean(keras.ops.abs(wanted - own), axis=-1)


def test_one_method_makes_a_loss():
    student, teacher = net("student"), net("teacher", seed=1)
    made = distiller(student, teacher, [Difference(["gap"], ["gap"], name="mine")])
    own, wanted = (features(m, IMAGES, "gap", "logits")[0] for m in (student, teacher))
    expected = np.abs(own - wanted).mean()
    assert evaluated(made)["mine"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ["logits", "output"])
def test_hints_may_compare_logits_too(name):
    student, teacher = net("student"), net("teacher", seed=1)
    made = distiller(student, teacher, [SoftTargets(), Hints(name, name)])
    z, v = (m.predict(IMAGES, verbose=0) for m in (student, teacher))
    logs = evaluated(made)
    assert logs["hints"] == pytest.approx(((z - v) ** 2).mean(), rel=1e-4)
    assert made.teacher_keys == {"teacher_logits", f"teacher_{name}"}


def test_an_inner_layer_called_logits_is_refused():
    """It would be mixed up with the output, in the student and in the teacher."""

    def misnamed(name):
        image = keras.Input((12, 12, 1))
        x = layers.Flatten()(image)
        x = layers.Dense(3, name="logits")(x)
        return keras.Model(image, layers.Dense(3, name="scaled")(x), name=name)

    with pytest.raises(ValueError, match="'logits' would be two different tensors of"):
        distiller(misnamed("m"), net("teacher"), [Hints("logits", "logits")])
    with pytest.raises(ValueError, match="'teacher_logits' would be two .* of 'm': re"):
        distiller(net("student"), misnamed("m"), [Hints("logits", "logits")])


def test_dtypes_may_differ():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        student = net("student")
    finally:
        keras.config.set_dtype_policy("float32")
    made = distiller(student, net("teacher", width=6, seed=1))
    history = made.fit(IMAGES, LABELS, epochs=2, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    assert made.distillation_losses[1].projectors[0].kernel.dtype == "float32"


def test_weights_and_temperature_ramp_with_the_step():
    """Weight 0 to 2 and temperature 1 to 5 over four steps, constant afterwards."""
    student, teacher = net("student"), net("teacher", width=6, seed=1)
    ramp = schedules.PolynomialDecay(0.0, 4, end_learning_rate=2.0)
    heat = schedules.PolynomialDecay(1.0, 4, end_learning_rate=5.0)
    losses = [SoftTargets(heat, weight=ramp)]
    made = distiller(student, teacher, losses, label=ramp)
    z, v = student.predict(IMAGES, verbose=0), teacher.predict(IMAGES, verbose=0)

    def soft(t):
        p, q = (np.exp(x / t) / np.exp(x / t).sum(-1, keepdims=True) for x in (v, z))
        return t**2 * (p * np.log(p / q)).sum(-1).mean()

    for step in range(6):
        made.step.assign(step)  # as training counts it
        logs = evaluated(made)
        t, weight = min(1 + step, 5), min(step / 2, 2)
        assert logs["soft_targets"] == pytest.approx(soft(t), rel=1e-3)
        expected = weight * (logs["label_loss"] + logs["soft_targets"])
        assert logs["loss"] == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_hints_first_and_then_the_logits():
    """FitNets' two stages by schedules: until step 6 only layers below it move."""
    student, teacher = net("student"), net("teacher", width=6, seed=1)
    off_then_on = schedules.PiecewiseConstantDecay([5], [0.0, 1.0])
    on_then_off = schedules.PiecewiseConstantDecay([5], [1.0, 0.0])
    losses = [
        Hints("stage1", "stage1", weight=on_then_off),
        SoftTargets(weight=off_then_on),
    ]
    made = distiller(student, teacher, losses, label=off_then_on)
    made.compile(keras.optimizers.SGD(0.1))
    head = student.get_layer("logits")
    before = [w.copy() for w in head.get_weights()]
    stem = student.get_layer("conv1").get_weights()[0].copy()
    made.fit(IMAGES, LABELS, batch_size=16, epochs=2, verbose=0)  # six steps
    same_weights(before, head.get_weights())
    assert not np.array_equal(stem, student.get_layer("conv1").get_weights()[0])
    made.fit(IMAGES, LABELS, batch_size=16, epochs=1, verbose=0)
    assert not np.array_equal(before[0], head.get_weights()[0])


def test_images_without_labels_are_enough():
    student, teacher = net("student"), net("teacher", width=6, seed=1)
    made = distiller(student, teacher, label=0)
    history = made.fit(
        IMAGES, epochs=2, verbose=0, validation_data=(IMAGES, LABELS)
    ).history
    assert history["soft_targets"][-1] < history["soft_targets"][0]
    assert "val_accuracy" in history and "accuracy" not in history
    assert "val_label_loss" in history and "label_loss" not in history
    logs = made.evaluate(IMAGES, verbose=0, return_dict=True)
    assert logs.keys() == {"loss", "soft_targets", "hints"}
    with pytest.raises(ValueError, match="no labels: set label_weight=0"):
        distiller(net("student"), teacher).fit(IMAGES, verbose=0)


@pytest.mark.parametrize("form", [dict, list])
def test_one_output_in_a_dict_or_list_is_the_logits(form):
    def wrapped(name, seed):
        made = net(name, seed=seed)
        only = {"logits": made.output} if form is dict else [made.output]
        return keras.Model(made.input, only, name=name)

    student, teacher = wrapped("student", 0), wrapped("teacher", 1)
    made = distiller(student, teacher)
    plain = distiller(net("plain"), net("teacher", seed=1))
    assert made.predict(IMAGES, verbose=0).shape == (48, 3)
    logs, expected = evaluated(made), evaluated(plain)
    assert logs["soft_targets"] == pytest.approx(expected["soft_targets"], rel=1e-4)
    peers = MutualDistiller([student, teacher])
    peers.compile("sgd")
    peers.evaluate(IMAGES, LABELS, verbose=0)
    assert ensemble([student, teacher]).predict(IMAGES, verbose=0).shape == (48, 3)


def test_sample_and_class_weights_count_in_every_part():
    made = distiller(net("student"), net("teacher", width=6, seed=1))
    weights = RNG.uniform(0, 2, 48).astype("float32")
    whole = made.evaluate(
        IMAGES, LABELS, sample_weight=weights, batch_size=48, verbose=0,
        return_dict=True,
    )  # fmt: skip
    alone = [
        made.evaluate(IMAGES[i : i + 1], LABELS[i : i + 1], verbose=0, return_dict=True)
        for i in range(8)
    ]
    some = made.evaluate(
        IMAGES[:8], LABELS[:8], sample_weight=weights[:8], batch_size=8, verbose=0,
        return_dict=True,
    )  # fmt: skip
    for part in ("label_loss", "soft_targets", "hints", "loss"):
        expected = np.mean(
            [w * one[part] for w, one in zip(weights[:8], alone, strict=True)]
        )
        assert some[part] == pytest.approx(expected, rel=1e-3)
        assert whole[part] != pytest.approx(some[part], rel=1e-3)
    by_class = {0: 0.0, 1: 0.0, 2: 0.0}
    before = [numpy(w).copy() for w in made.student.trainable_weights]
    made.compile(keras.optimizers.SGD(1.0))
    made.fit(IMAGES, LABELS, class_weight=by_class, verbose=0)
    same_weights(before, map(numpy, made.student.trainable_weights))


def test_reloads_with_projectors_and_goes_on(tmp_path):
    teacher = net("teacher", width=6, seed=1)
    made = distiller(net("student"), teacher)
    made.fit(IMAGES, LABELS, verbose=0)
    made.save(tmp_path / "d.keras")
    again = keras.saving.load_model(tmp_path / "d.keras")
    same_weights(made.get_weights(), again.get_weights())
    again.set_teacher(teacher)
    again.compile(keras.optimizers.Adam(0.01), metrics=["accuracy"])
    assert evaluated(again) == pytest.approx(evaluated(made), rel=1e-5)
    assert int(again.step) == int(made.step) == 2
    with pytest.raises(ValueError, match="the losses were built for"):
        again.set_teacher(net("other", width=7))


def test_backup_and_restore_resumes_as_if_nothing_had_happened(tmp_path):
    class Killed(Exception):
        pass

    class Kill(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise Killed

    def trained(*callbacks):
        ramp = schedules.PolynomialDecay(0.0, 4, end_learning_rate=2.0)
        losses = [SoftTargets(), Hints("stage2", "stage2", weight=ramp)]
        student = net("student", drop=0.0)  # Keras does not keep dropout's state
        made = distiller(student, net("teacher", width=6, seed=1), losses)
        made.fit(
            IMAGES, LABELS, batch_size=24, epochs=2, shuffle=False, verbose=0,
            callbacks=list(callbacks),
        )  # fmt: skip
        return made

    whole = trained().get_weights()
    folder = tmp_path / "backup"
    with pytest.raises(Killed):
        trained(keras.callbacks.BackupAndRestore(folder), Kill())
    resumed = trained(keras.callbacks.BackupAndRestore(folder)).get_weights()
    for a, b in zip(whole, resumed, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_stages_and_taps():
    model = net("model")
    assert stages(model) == {"stage1": "relu1", "stage2": "relu2"}
    assert tap(model, "stage1") is model.get_layer("relu1").output
    assert tap(model, "stage1", before_activation=True) is model.get_layer("bn1").output
    assert tap(model, "embedding") is model.get_layer("drop").output
    assert tap(model, "output") is model.outputs[0]
    with pytest.raises(ValueError, match=r"'stage3' \(did you mean stage1\?\); choose"):
        tap(model, "stage3")
    with pytest.raises(ValueError, match="'pool1', a MaxPooling2D"):
        tap(model, "pool1", before_activation=True)


def test_bad_input():
    student, teacher = net("student"), net("teacher", width=6, seed=1)
    with pytest.raises(ValueError, match="no layer or stage called 'conv9'.*conv2"):
        distiller(student, teacher, [Hints("conv9", "conv2")])
    with pytest.raises(ValueError, match=r"hints cannot compare features.*two vectors"):
        distiller(student, teacher, [Hints("gap", "conv2")])
    with pytest.raises(ValueError, match="as many student layers as teacher layers"):
        Hints(["conv1", "conv2"], "conv1")
    with pytest.raises(ValueError, match="weight must not be negative, got -2"):
        Hints("conv1", "conv1", weight=-2)
    with pytest.raises(ValueError, match="needs to know the teacher's shapes"):
        Distiller(student, losses=[Hints("conv1", "conv1")], label_weight=1.0)
    with pytest.raises(ValueError, match="DistillationLoss objects such as"):
        Distiller(student, losses=["mse"], label_weight=1.0)
    with pytest.raises(ValueError, match=r"\(12, 12, 3\).*give a layer"):
        distiller(student, net("teacher", channels=3))
    with pytest.raises(ValueError, match="2 channels cannot become ones of 3"):
        Renormalise(([0, 0], [1, 1]), ([0, 0, 0], [1, 1, 1]))
