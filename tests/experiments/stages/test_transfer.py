"""Transfer: which layers learn, and when; interrupted, refused; and linear probes."""

import dataclasses
import inspect

import keras
import numpy as np
import pytest
from keras import layers
from keras.applications import vgg16

import architectures
from compression import export
from experiments import report
from experiments.data import load, pipeline
from experiments.data.augment import Augment
from experiments.data.normalisation import normalised
from experiments.recipe import Recipe
from experiments.runs.layout import RunFolder
from experiments.runs.run import run
from experiments.stages import fitting, published_weights
from experiments.stages.application import Application
from experiments.stages.base import Export
from experiments.stages.file import File
from experiments.stages.heads import backbone
from experiments.stages.net import Net
from experiments.stages.probe import Probe, _features
from experiments.stages.train import Train
from experiments.stages.transfer import Transfer
from experiments.training import progress
from experiments.training.settings import Training

pytestmark = pytest.mark.usefixtures("eagerly")

LITERT = (Export("litert"),)
SHORT = Training(epochs=1, batch_size=256, learning_rate=3e-3)
STAGED = Transfer(
    "staged",
    "other",
    dataclasses.replace(SHORT, epochs=5),
    unfreeze="staged",
    exports=(),
)


def conv_net(classes=5):
    keras.utils.set_random_seed(0)
    x = image = keras.Input((8, 8, 1))
    for number in (1, 2):
        x = layers.Conv2D(6, 3, padding="same", name=f"stage{number}_conv")(x)
        x = layers.BatchNormalization(name=f"stage{number}_bn")(x)
        x = layers.MaxPooling2D(name=f"stage{number}_pool")(x)
    x = layers.Flatten()(x)
    return keras.Model(image, layers.Dense(classes, name="answer")(x), name="mine")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "mine.keras"
    conv_net().save(path)
    other = Train("other", File(str(path)), SHORT, data="digits[0,1,2,3,4]", exports=())
    return Recipe(
        "transfer",
        "digits[5,6,7,8]",
        (
            other,
            Transfer("frozen", "other", SHORT, unfreeze="head", exports=()),
            STAGED,
            Transfer(
                "all",
                "other",
                SHORT,
                rate_decay=2.0,
                toward_start=0.1,
                labels=20,
                exports=LITERT,
            ),
            Probe("probe", "other", labels=100, exports=LITERT),
        ),
    )


@pytest.fixture(scope="module")
def finished(recipe, tmp_path_factory):
    return RunFolder(run(recipe, tmp_path_factory.mktemp("runs") / "whole"))


def model(folder, stage):
    return export.load(folder.stage(stage, 0).model).model


def values(net, layer):
    return [keras.ops.convert_to_numpy(w) for w in net.get_layer(layer).weights]


@pytest.mark.slow
def test_only_what_is_exported_has_a_row(finished):
    rows = finished.read_rows()
    assert [row["stage"] for row in rows] == ["all", "probe"]
    assert all(row["data"] == "digits[5,6,7,8]" for row in rows)
    assert finished.read_data()["stages"]["other"]["class_names"] == list("01234")
    report.write(finished.path)
    assert "neighbours" in finished.markdown.read_text() or finished.page.exists()


def test_a_frozen_backbone_stays_bit_for_bit(finished):
    """Its batch norm, too, whose statistics would move."""
    before, frozen, free = (model(finished, s) for s in ("other", "frozen", "all"))
    for layer in ("stage1_conv", "stage1_bn", "stage2_conv", "stage2_bn"):
        for old, kept, moved in zip(
            *(values(net, layer) for net in (before, frozen, free)), strict=True
        ):
            np.testing.assert_array_equal(kept, old)
            assert (moved != old).any()
    assert frozen.output_shape == (None, 4)
    assert all(layer.trainable for layer in frozen.layers)  # for whoever goes on


def test_stages_are_unfrozen_from_the_head_down(recipe, monkeypatch):
    seen = []

    def fit(stage, net, job, part):
        names = dict.fromkeys(w.path.split("/")[0] for w in net.trainable_variables)
        seen.append((part.number, part.epochs_before, stage.training.epochs, [*names]))
        history = {"epoch": [*range(1, stage.training.epochs + 1)]}
        return fitting.training.Trained(history, 1, 0.5), {}

    monkeypatch.setattr(fitting, "fit", fit)
    data = load("digits[5,6,7,8]")
    net = STAGED.started(data, lambda _: conv_net())
    trained, _ = STAGED.trained(net, None)
    last, low = ["stage2_conv", "stage2_bn"], ["stage1_conv", "stage1_bn"]
    assert seen == [
        (0, 0, 1, ["logits"]),
        (1, 1, 1, [*last, "logits"]),
        (2, 2, 3, [*low, *last, "logits"]),
    ]
    assert trained.history["epoch"] == [1, 2, 3, 4, 5] and trained.best_epoch == 3
    assert all(layer.trainable for layer in net.layers)


@pytest.mark.slow
def test_an_interrupted_part_ends_like_a_whole_one(finished, recipe, tmp_path):
    out = RunFolder(tmp_path / "cut")
    short = dataclasses.replace(recipe, stages=(recipe.stages[0], STAGED))

    def interrupt(self, epoch, logs=None):
        if self.epochs == 3:  # those of the last part
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress.Progress, "on_epoch_end", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(short, out.path)
    unfinished = out.path / "stages/seed0/staged.partial"
    assert len(list(unfinished.glob("checkpoint*.npz"))) == 3
    run(short, out.path)
    assert not list(out.path.rglob("checkpoint*.npz"))
    for layer in model(out, "staged").layers:
        for one, other in zip(
            values(model(out, "staged"), layer.name),
            values(model(finished, "staged"), layer.name),
            strict=True,
        ):
            np.testing.assert_array_equal(one, other)
    history = out.stage("staged", 0).read_history()
    whole = finished.stage("staged", 0).read_history()
    assert history == whole and history["epoch"] == [1, 2, 3, 4, 5]


def test_depth_sets_the_rates():
    stage = dataclasses.replace(STAGED, rate_decay=2.0)
    net = conv_net()
    rate = stage._rate(net)
    by_layer = {w.path.split("/")[0]: rate(w) for w in net.trainable_variables}
    assert by_layer == {
        "stage1_conv": 0.25,
        "stage1_bn": 0.25,
        "stage2_conv": 0.5,
        "stage2_bn": 0.5,
        "answer": 1.0,
    }


def test_a_probe_is_its_logistic_regression(finished):
    """The written net gives the classes that scikit-learn's own pipeline gives."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from experiments.data.labelled import chosen_images
    from experiments.stages.heads import backbone

    data = load("digits[5,6,7,8]")
    mean, std = np.float32(data.mean), np.float32(data.std)
    net = model(finished, "probe")

    def pixels(images):
        return (images / np.float32(255) - mean) / std

    def features(images):
        return np.asarray(backbone(net)(pixels(images)), np.float64)

    about = finished.stage("probe", 0).read_about()
    index = chosen_images(data, 100, seed=0)
    probe = make_pipeline(
        StandardScaler(),
        LogisticRegression(C=about["penalty_strength"], max_iter=1000),
    )
    probe.fit(features(data.train.images[index]), data.train.labels[index])
    expected = probe.predict(features(data.test.images))
    found = np.argmax(net(pixels(data.test.images)), -1)
    assert (found == expected).mean() > 0.99
    assert 0.5 < about["neighbours_top1"] <= 1


def test_a_catalogue_net_keeps_the_classes_of_its_weights(monkeypatch):
    loaded = []
    monkeypatch.setattr(published_weights, "load_into", lambda *it: loaded.append(it))
    data = dataclasses.replace(load("digits", image_size=16), image_shape=(16, 16, 3))
    net = Net("resnet20", weights="published")
    assert net.source(data).output_shape == (None, 10)
    few = dataclasses.replace(data, class_names=("a", "b"))
    assert net.source(few).output_shape == (None, 10)
    made = Transfer("new", net, SHORT).started(few, None)
    assert made.output_shape == (None, 2) and len(loaded) == 3
    assert architectures.card("vgg16").classes == 1000


def test_a_net_that_keras_ships():
    data = dataclasses.replace(load("digits"), image_shape=(32, 32, 3))
    net = Application("MobileNetV2", {"alpha": 0.35})
    assert net.built(data).output_shape == (None, 10)
    with pytest.raises(ValueError, match="'MobileNet9' .did you mean.*Xception"):
        Application("MobileNet9")
    with pytest.raises(ValueError, match="weights must be None or"):
        Application("VGG16", weights="mine.h5")
    with pytest.raises(ValueError, match=r"no option 'alhpa' \(did you mean alpha"):
        Application("MobileNetV2", {"alhpa": 1}).built(data)
    with pytest.raises(ValueError, match=r"pixels less \(0.5.*set normalisation"):
        Application("MobileNetV2", weights="imagenet").built(data)
    for name, expected in (("MobileNetV3Small", "-1..1"), ("ConvNeXtTiny", "imagenet")):
        assert Application(name).normalisation == "0..255"
        bare = Application(name, {"include_preprocessing": False}, "imagenet")
        assert bare.normalisation == expected


def test_grey_images_have_a_way_to_weights_of_colours():
    net = Application("MobileNetV2", weights="imagenet")
    data = normalised(load("digits"), net.normalisation)
    with pytest.raises(ValueError, match="3 channels, digits has 1: .* as rgb:digits"):
        net.built(data)


@pytest.mark.parametrize("name", ["VGG16", "ResNet50"])
def test_nets_that_expect_blue_before_red_get_red_first(name, monkeypatch):
    """The weights are random ones here, which stand for ImageNet's."""
    builder = getattr(keras.applications, name)
    made = []

    def fetched(weights, **options):
        assert weights == "imagenet"
        made.append(builder(weights=None, **options))
        return made[0]

    fetched.__signature__ = inspect.signature(builder)
    monkeypatch.setattr(keras.applications, name, fetched)
    net = Application(name, weights="imagenet")
    data = dataclasses.replace(load("digits"), image_shape=(32, 32, 3))
    data = normalised(data, net.normalisation)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3))
    body = backbone(net.built(data))
    found = body((pixels / 255 - data.mean) / data.std)
    # The same weights as Keras has them, fed as its own preprocessing does.
    first = next(x for x in made[0].layers if isinstance(x, keras.layers.Conv2D))
    first.kernel.assign(first.kernel[:, :, ::-1])
    expected = made[0](vgg16.preprocess_input(pixels.astype("float32")))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_weights_that_cannot_be_fetched(monkeypatch):
    def offline(**options):
        raise Exception("URL fetch failure on somewhere:\nNone -- no network")

    monkeypatch.setattr(keras.applications, "MobileNetV2", offline)
    data = dataclasses.replace(load("digits"), image_shape=(32, 32, 3))
    net = Application("MobileNetV2", weights="imagenet")
    with pytest.raises(ConnectionError, match="MobileNetV2 cannot be fetched: URL fe"):
        net.built(normalised(data, net.normalisation))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unfreeze": "some"}, "no unfreeze called 'some'; choose from head"),
        ({"rate_decay": 0.5}, "rate_decay must be 1 or more, got 0.5"),
        ({"toward_start": -1.0}, "toward_start must be 0 or more, got -1.0"),
    ],
)
def test_settings_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        Transfer("t", "other", SHORT, **options)


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (dataclasses.replace(STAGED, training=SHORT), "3 parts: .* at least 3 epochs"),
        (dataclasses.replace(STAGED, ends=("none",)), "no layer called 'none'"),
        (dataclasses.replace(STAGED, head="none"), "no layer called 'none'"),
        (dataclasses.replace(STAGED, labels=3), "labels must be from 4"),
        (dataclasses.replace(STAGED, labels=9, classes=(1,)), "classes and labels"),
        (Train("t", "other", SHORT), "knows 5 classes, .* has 4: Transfer puts a new"),
        (
            Train("t", "other", SHORT, data="digits[0,1,2,3,4]"),
            "t.* learns other data than the recipe's",
        ),
        (
            Transfer("t", Net("lenet5"), SHORT, unfreeze="staged", head="c9"),
            "no layer called 'c9'",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_the_first_step(stage, message):
    data = load(stage.data or "digits[5,6,7,8]")
    with pytest.raises(ValueError, match=message):
        stage.check_images(data, Augment())
        stage.check(data, {"other": conv_net()})


def test_other_images_are_refused():
    data = load("digits[5,6,7,8]", image_size=16)
    with pytest.raises(ValueError, match=r"takes images of \(8, 8, 1\).*image_size"):
        STAGED.check(data, {"other": conv_net()})


def test_features_between_0_and_1_are_no_probabilities():
    """A probe's head is found on the features as the net will give them."""
    image = keras.Input((8, 8, 1))
    hidden = keras.layers.Dense(5, activation="sigmoid")
    features = keras.Model(image, hidden(keras.layers.Flatten()(image)))
    data = load("digits")
    found, labels = _features(features, data, "validation")
    [(images, _)] = pipeline.first_batches(data, "validation", batch_size=1000)
    np.testing.assert_allclose(found, features(images), atol=1e-6)
    np.testing.assert_array_equal(labels, data.validation.labels)
