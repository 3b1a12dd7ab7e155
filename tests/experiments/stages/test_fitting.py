"""Mixed images, class weights and balanced epochs in a stage's training."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from compression.distillation import Distiller
from experiments.data import load, pipeline
from experiments.data.augment import Augment
from experiments.recipe import Recipe
from experiments.runs.layout import StageFolder
from experiments.runs.run import run
from experiments.stages import fitting
from experiments.stages.base import Job
from experiments.stages.distill import Distill
from experiments.stages.net import Net
from experiments.stages.teaching import Teaching
from experiments.stages.train import Train
from experiments.training import devices, progress
from experiments.training.class_weights import balanced
from experiments.training.settings import Training

NET = Net("mlp", {"widths": (8,)})
STILL = Training(epochs=1, batch_size=100, learning_rate=1e-12, keep="last")
EVERYTHING = Augment(pad=1, rand_augment=(1, 5), cutout=3, mixup=0.4, cutmix=1.0)


@pytest.fixture(scope="module")
def data():
    """Digits, of which most nines are lost."""
    whole = load("digits")
    labels = whole.train.labels
    kept = np.concatenate([np.flatnonzero(labels < 9), np.flatnonzero(labels == 9)[:9]])
    train = dataclasses.replace(
        whole.train, size=len(kept), images=whole.train.images[kept],
        labels=labels[kept],
    )  # fmt: skip
    return dataclasses.replace(whole, train=train)


def net(data, seed=0):
    keras.utils.set_random_seed(seed)
    model = NET.built(data)
    model.layers[-1].bias.assign(np.linspace(0, 0.1, 10))  # no ties of dead units
    return model


def fit(stage, data, folder, augment, teacher=None):
    model = net(data)
    job = Job(
        data=data, augment=augment, seed=1, folder=StageFolder(folder),
        stages=(stage,), cache=folder, load=lambda name: teacher,
    )  # fmt: skip
    trained, _ = fitting.fit(stage, model, job)
    return model, trained.history


def of_epoch(data, augment, model):
    """Distributions and log-probabilities of the epoch that a stage is shown."""
    batches = pipeline.training_batches(data, batch_size=100, seed=1, augment=augment)
    rows = batches.dataset.take(batches.steps_per_epoch)
    labels, logits = zip(*[(y, model(x)) for x, y in rows], strict=True)
    return np.concatenate(labels), tf.nn.log_softmax(np.concatenate(logits)).numpy()


def test_taught_on_mixed_images_with_class_weights(data, tmp_path):
    """The teacher sees the mixed image: it is the student itself, so it agrees."""
    stage = Distill(
        "distill", NET, dataclasses.replace(STILL, class_weights="balanced"),
        Teaching("teacher", soft_weight=1.0, label_weight=0.5, views=None),
    )  # fmt: skip
    model, history = fit(stage, data, tmp_path, EVERYTHING, net(data))
    labels, log_p = of_epoch(data, EVERYTHING, model)
    weights = np.array(balanced(data.train.labels, 10))
    assert weights[9] > 10 * weights[0]
    expected = -(labels * weights * log_p).sum(axis=1).mean()
    assert history["label_loss"][0] == pytest.approx(expected, rel=1e-4)
    assert history["soft_targets"][0] == pytest.approx(0, abs=1e-5)
    assert history["loss"][0] == pytest.approx(0.5 * expected, rel=1e-4)
    right = (labels.argmax(axis=1) == log_p.argmax(axis=1)).mean()
    assert history["accuracy"][0] == pytest.approx(right, abs=1e-6)
    assert (labels.max(axis=1) < 1).mean() > 0.1
    check_validation(data, model, history)


HALF_TAUGHT = Distill(
    "distill", NET, dataclasses.replace(STILL, precision="mixed_bfloat16"),
    Teaching("teacher", soft_weight=1.0, label_weight=0.5, views=None),
)  # fmt: skip


def test_a_teacher_that_runs_in_every_step_computes_as_its_student(
    data, tmp_path, monkeypatch, capsys
):
    asked, teacher = [], net(data)
    monkeypatch.setattr(fitting, "Distiller", recorded(asked))
    with devices.precision("mixed_bfloat16"):
        fit(HALF_TAUGHT, data, tmp_path, Augment(), teacher)
    assert asked == ["bfloat16"]
    assert "its teacher computes in bfloat16: in bfloat16, " in capsys.readouterr().out


def test_a_teacher_whose_answers_change_computes_in_full(
    data, tmp_path, monkeypatch, capsys
):
    asked, teacher = [], net(data)
    monkeypatch.setattr(fitting, "Distiller", recorded(asked))
    monkeypatch.setattr(fitting, "agreement", lambda *_: 0.9)
    with devices.precision("mixed_bfloat16"):
        fit(HALF_TAUGHT, data, tmp_path, Augment(), teacher)
    assert asked == [None]
    line = "its teacher computes in float32: in bfloat16, 90.0% of"
    assert line in capsys.readouterr().out


def recorded(asked):
    def make(*args, teacher_dtype, **options):
        asked.append(teacher_dtype)
        return Distiller(*args, teacher_dtype=teacher_dtype, **options)

    return make


def test_mixed_labels_are_smoothed_and_scored(data, tmp_path):
    """Compiled by XLA, too."""
    compiled = dataclasses.replace(STILL, label_smoothing=0.1, jit_compile=True)
    stage = Train("a", NET, compiled)
    model, history = fit(stage, data, tmp_path, Augment(mixup=1.0))
    labels, log_p = of_epoch(data, Augment(mixup=1.0), model)
    expected = -((0.9 * labels + 0.01) * log_p).sum(axis=1).mean()
    assert history["loss"][0] == pytest.approx(expected, rel=1e-4)
    check_validation(data, model, history)


def check_validation(data, model, history):
    """Its images are whole: top-1 is that of their integer labels."""
    [*rows] = pipeline.evaluation_batches(data, "validation").as_numpy_iterator()
    right = np.concatenate([np.argmax(model(x), axis=1) == y for x, y in rows])
    assert history["val_accuracy"][0] == pytest.approx(right.mean(), abs=1e-6)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.slow
def test_an_interrupted_training_ends_bit_for_bit_like_a_whole_one(
    data, tmp_path, monkeypatch
):
    """Every change of the images, and balanced epochs."""
    training = Training(epochs=2, batch_size=400, sampling="balanced")
    stage = Train("a", NET, training)
    expected, whole = fit(stage, data, tmp_path / "whole", EVERYTHING)

    def interrupt(self, epoch, logs=None):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(progress.Progress, "on_epoch_end", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fit(stage, data, tmp_path / "cut", EVERYTHING)
    again, resumed = fit(stage, data, tmp_path / "cut", EVERYTHING)
    assert resumed == whole and len(whole["loss"]) == 2
    for a, b in zip(expected.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def taught(teaching, **settings):
    return Distill("student", NET, Training(epochs=1), teaching, **settings)


MIXUP = Augment(mixup=0.2)
DECOUPLED = {"DecoupledSoftTargets": {}}


@pytest.mark.parametrize(
    ("augment", "stage", "problem"),
    [
        (MIXUP, taught(Teaching("t")), "'student': mixup.*set teaching.views=None"),
        (
            Augment(),
            taught(Teaching("t"), augment=Augment(cutmix=1.0)),
            "for which no teacher's outputs are kept",
        ),
        (
            MIXUP,
            taught(Teaching("t", views=None, parts=DECOUPLED)),
            "DecoupledSoftTargets compares whole images",
        ),
        (
            Augment(cutout=9),
            taught(Teaching("t")),
            "cutout of 9 pixels is larger than an image of digits, 8 pixels",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_trained(
    augment, stage, problem, tmp_path
):
    teacher = Train("t", NET, Training(epochs=1), augment=Augment())
    recipe = Recipe("r", "digits", (teacher, stage), augment=augment)
    with pytest.raises(ValueError, match=problem):
        run(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("setting", ["class_weights", "sampling"])
def test_streams_have_no_labels_to_count(data, setting):
    stream = dataclasses.replace(data.train, images=None, labels=None, stream=list)
    streamed = dataclasses.replace(data, train=stream)
    stage = Train("a", NET, Training(epochs=1, **{setting: "balanced"}))
    with pytest.raises(ValueError, match=f"'a': {setting} needs the labels.*streamed"):
        stage.check_images(streamed, Augment())
    stage.check_images(data, Augment())
