"""Pretraining without labels: the tasks, and what is left of them."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from compression import export
from experiments.data import load
from experiments.data.augment import Augment
from experiments.recipe import Recipe
from experiments.runs.layout import RunFolder
from experiments.runs.run import run
from experiments.stages.base import Export
from experiments.stages.file import File
from experiments.stages.heads import backbone
from experiments.stages.net import Net
from experiments.stages.pretrain import Pretrain
from experiments.stages.tasks import Autoencoder, Rotation, SimCLR
from experiments.stages.tasks.simclr import Similarities
from experiments.stages.teaching import Teaching
from experiments.stages.train import Train
from experiments.training import progress
from experiments.training.settings import Training

pytestmark = pytest.mark.usefixtures("eagerly")

SHORT = Training(epochs=2, batch_size=400, learning_rate=3e-3)
RNG = np.random.default_rng(0)


def small_net(classes=10):
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 1))
    x = layers.Conv2D(6, 3, activation="relu", name="conv")(image)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(classes, name="answer")(x), name="mine")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "mine.keras"
    small_net().save(path)
    return Recipe(
        "pretrain",
        "digits",
        (
            Pretrain("pairs", File(str(path)), SHORT, task=SimCLR(width=8)),
            Train("tuned", "pairs", SHORT, labels=50, exports=(Export("litert"),)),
        ),
        augment=Augment(pad=1),
    )


def values(folder, stage, layer):
    model = export.load(folder.stage(stage, 0).model).model
    return [keras.ops.convert_to_numpy(w) for w in model.get_layer(layer).weights]


@pytest.mark.slow
def test_the_backbone_learns_the_head_does_not_and_a_cut_changes_nothing(
    recipe, tmp_path
):
    whole = RunFolder(run(recipe, tmp_path / "whole"))
    assert [row["stage"] for row in whole.read_rows()] == ["tuned"]
    about = whole.stage("pairs", 0).read_about()
    assert 0 < about["task_score"] < 1 and "validation_top1" not in about
    start = small_net()
    old = [w.numpy() for w in start.get_layer("answer").weights]
    for kept, before in zip(values(whole, "pairs", "answer"), old, strict=True):
        np.testing.assert_array_equal(kept, before)
    for moved, before in zip(
        values(whole, "pairs", "conv"), start.get_layer("conv").weights, strict=True
    ):
        assert (moved != before.numpy()).any()

    def interrupt(self, epoch, logs=None):
        raise KeyboardInterrupt

    cut = RunFolder(tmp_path / "cut")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress.Progress, "on_epoch_end", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(recipe, cut.path, stages=["pairs"])
    run(recipe, cut.path, stages=["pairs"])
    for layer in ("conv", "bn"):
        for one, other in zip(
            values(cut, "pairs", layer), values(whole, "pairs", layer), strict=True
        ):
            np.testing.assert_array_equal(one, other)


def ntxent(vectors, temperature):
    """The formula of section 2.1, image by image."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    half = len(unit) // 2
    losses = []
    for i in range(len(unit)):
        j = (i + half) % len(unit)
        others = [k for k in range(len(unit)) if k != i]
        pair = np.exp(unit[i] @ unit[j] / temperature)
        losses.append(
            -np.log(pair / sum(np.exp(unit[i] @ unit[k] / temperature) for k in others))
        )
    return np.mean(losses)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_simclr_is_the_papers_loss(temperature):
    task = SimCLR(temperature=temperature, width=5)
    net = task.net(backbone(small_net()))
    images, pairs = task.batch(*RNG.normal(size=(2, 6, 8, 8, 1)).astype("float32"))
    view = keras.Model(net.input, net.get_layer("projection2").output)
    expected = ntxent(np.float64(view(images)), temperature)
    assert float(task.loss()(pairs, net(images))) == pytest.approx(expected, rel=1e-5)


@pytest.mark.usefixtures("traced")
def test_features_of_zeros_have_a_small_gradient():
    """Compiled, too, where that of `ops.normalize` is NaN."""
    vectors = tf.Variable([[0.0, 0.0], [1.0, 2.0], [3.0, -1.0], [0.0, 0.0]])
    similarities = Similarities(0.5)

    @tf.function(jit_compile=True)
    def gradient():
        with tf.GradientTape() as tape:
            loss = SimCLR().loss()(tf.constant([2, 3, 0, 1]), similarities(vectors))
        return tape.gradient(loss, vectors)

    assert np.abs(gradient()).max() < 10


def test_each_image_is_turned_four_ways():
    images = RNG.normal(size=(3, 8, 8, 1)).astype("float32")
    turned, turns = Rotation().batch(images)
    assert turns.numpy().tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    for image, turn, number in zip(turned, turns, range(12), strict=True):
        np.testing.assert_array_equal(image, np.rot90(images[number % 3], turn))
    assert Rotation().net(backbone(small_net())).output_shape == (None, 4)


@pytest.mark.parametrize("side", [8, 9, 11])
def test_an_autoencoder_draws_images_of_the_same_size(side):
    image = keras.Input((side, side + 1, 3))
    features = keras.Model(image, layers.GlobalAveragePooling2D()(image))
    net = Autoencoder().net(features)
    assert net.output_shape == (None, side, side + 1, 3)


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize(
    "task",
    [
        pytest.param(Rotation(), marks=pytest.mark.slow),  # of labels, as all else
        SimCLR(width=8),
        Autoencoder(),
    ],
)
def test_each_task_is_learned_where_xla_compiles(task):
    keras.utils.set_random_seed(0)
    data = load("digits")
    pixels = ((data.train.images[:64] / 255 - 0.3) / 0.4).astype("float32")
    noise = RNG.normal(size=(task.views, *pixels.shape)).astype("float32")
    asked, answer = task.batch(*(pixels + 0.1 * noise))
    net = task.net(backbone(small_net()))
    net.compile(keras.optimizers.Adam(0.01), task.loss(), jit_compile=True)
    losses = [net.train_on_batch(asked, answer) for _ in range(6)]
    assert losses[-1] < losses[0] and np.isfinite(losses).all()


def stage(**options):
    options = {"task": Rotation()} | options
    return Pretrain("p", Net("lenet5"), options.pop("training", SHORT), **options)


def settings(**options):
    return dataclasses.replace(SHORT, **options)


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda: stage(task="rotation"), "task must be one of .*got 'rotation'"),
        (lambda: stage(labels=5), "learns from images alone: labels=None"),
        (lambda: stage(teaching=Teaching("t")), "alone: teaching=None"),
        (
            lambda: stage(training=settings(sampling="balanced")),
            "alone: sampling=None",
        ),
        (
            lambda: stage(task=Autoencoder(), training=settings(schedule="plateau")),
            "no top-1 whose plateau",
        ),
        (lambda: stage(exports=(Export("litert"),)), "not learned to classify"),
        (lambda: SimCLR(temperature=0.0), "temperature must be positive, got 0.0"),
        (lambda: SimCLR(width=0), "width must be positive, got 0"),
        (lambda: Rotation().check((8, 9, 1)), "only square images"),
        (
            lambda: stage().check_images(load("digits"), Augment(mixup=0.2)),
            "no labels that mixup and cutmix could mix",
        ),
    ],
)
def test_what_cannot_be_is_refused(attempt, message):
    with pytest.raises(ValueError, match=message):
        attempt()


def test_images_without_labels_are_enough():
    data = dataclasses.replace(load("digits", image_size=28), class_names=())
    assert stage().check(data, {}).output_shape == (None, 2)
    with pytest.raises(ValueError, match="'t' learns from labels, and digits has none"):
        Train("t", stage().start, SHORT).check_images(data, Augment())
