"""A user's own .keras file: in a recipe, as a stage, and as a start."""

import dataclasses
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from compression import export, measure
from experiments.data import load, pipeline
from experiments.deployment import Deployment
from experiments.recipe import Recipe
from experiments.runs.layout import RunFolder
from experiments.runs.run import run
from experiments.stages.base import Export
from experiments.stages.distill import Distill
from experiments.stages.file import File
from experiments.stages.load import Load
from experiments.stages.net import Net
from experiments.stages.prune import Prune
from experiments.stages.teaching import Teaching
from experiments.stages.train import Train
from experiments.stages.transfer import Transfer
from experiments.training.settings import Training

pytestmark = pytest.mark.usefixtures("eagerly")

LITERT = (Export("litert"),)
SHORT = Training(epochs=2, batch_size=600, learning_rate=3e-3)


def softmax_net(classes=10, seed=0):
    keras.utils.set_random_seed(seed)
    image = keras.Input((8, 8, 1))
    x = layers.Dense(24, activation="relu", name="fc1")(layers.Flatten()(image))
    answer = layers.Dense(classes, activation="softmax")(x)
    return keras.Model(image, answer, name="mine")


@pytest.fixture
def file(tmp_path):
    softmax_net().save(tmp_path / "mine.keras")
    return File(str(tmp_path / "mine.keras"))


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def test_a_file_is_known_by_its_contents(file, tmp_path):
    recipe = Recipe("own", "digits", (Load("teacher", file),))
    recorded = recipe.as_dict()["stages"][0]["start"]
    assert recorded == {"name": "mine.keras", "sha256": file.sha256}
    (tmp_path / "other").mkdir()
    copy = tmp_path / "other/mine.keras"
    copy.write_bytes((tmp_path / "mine.keras").read_bytes())
    same = Recipe("own", "digits", (Load("teacher", File(str(copy))),))
    assert same.as_dict() == recipe.as_dict()
    softmax_net(seed=1).save(copy)
    other = Recipe("own", "digits", (Load("teacher", File(str(copy))),))
    assert other.as_dict() != recipe.as_dict()


def test_a_softmax_is_taken_off(file, digits):
    images = np.random.default_rng(0).random((3, 8, 8, 1)).astype("float32")
    logits = file.built(digits)(images)
    expected = softmax_net()(images)
    np.testing.assert_allclose(keras.ops.softmax(logits), expected, atol=1e-6)


def test_files_that_do_not_fit_are_refused(file, tmp_path, digits):
    with pytest.raises(FileNotFoundError, match="there is no model file .*none.keras"):
        File(str(tmp_path / "none.keras"))
    softmax_net(classes=3).save(tmp_path / "three.keras")
    with pytest.raises(ValueError, match="three.keras knows 3 classes, digits has 10"):
        File(str(tmp_path / "three.keras")).built(digits)
    with pytest.raises(ValueError, match=r"takes images of \(8, 8, 1\), .* \(16, 16"):
        file.built(load("digits", image_size=16))
    net = softmax_net()
    two = keras.Model(net.input, [net.output, net.layers[1].output], name="two")
    two.save(tmp_path / "two.keras")
    with pytest.raises(ValueError, match=r"two\.keras: 'two' has 2 outputs"):
        File(str(tmp_path / "two.keras")).built(digits)
    softmax_net(seed=1).save(tmp_path / "mine.keras")
    with pytest.raises(ValueError, match="mine.keras has changed since the run began"):
        file.built(digits)


def saved(model, tmp_path):
    model.save(tmp_path / "net.keras")
    return File(str(tmp_path / "net.keras"))


def with_end(end, side=8):
    image = keras.Input((side, side, 1))
    features = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(image))
    return keras.Model(image, end(features), name="mine")


def test_one_output_is_of_two_classes(tmp_path, digits):
    two = load("digits[3,5]")
    file = saved(with_end(layers.Dense(1, activation="sigmoid")), tmp_path)
    images = np.random.default_rng(0).random((3, 8, 8, 1)).astype("float32")
    right = export.load(file.path).model(images)
    ours = keras.ops.softmax(file.built(two)(images))[:, 1:]
    np.testing.assert_allclose(ours, right, atol=1e-6)
    with pytest.raises(ValueError, match="net.keras knows 2 classes, digits has 10"):
        file.built(digits)


def test_classes_of_other_names_are_matched_by_position_with_a_word(file, digits):
    names = ("zero", *digits.class_names[1:])
    other = dataclasses.replace(digits, class_names=names)
    Deployment.of(other).write_beside(Path(file.path))
    with pytest.warns(UserWarning, match=r"not trained on 0 but on zero, 1.* position"):
        file.built(digits)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", None])
def test_what_is_transferred_may_end_in_anything(tmp_path, digits, activation):
    file = saved(with_end(layers.Dense(6, activation=activation)), tmp_path)
    made = Transfer("transfer", file, SHORT).started(digits, None)
    assert made.output_shape == (None, 10)


@pytest.mark.parametrize("inside", [False, True])
def test_an_open_size_becomes_that_of_the_images(tmp_path, digits, inside):
    """Whose MACs are counted as if it had been built of that size."""
    model = keras.models.clone_model(with_end(layers.Dense(10), None))
    if inside:
        image = keras.Input((None, None, 1))
        model = keras.Model(image, model(image))
    file = saved(model, tmp_path)
    built = file.built(digits)
    assert built.input_shape == (None, 8, 8, 1)
    images = np.random.default_rng(0).random((3, 8, 8, 1)).astype("float32")
    np.testing.assert_array_equal(built(images), export.load(file.path).model(images))
    assert measure.macs(built) == 6 * 6 * 9 * 4 + 4 * 10


def test_a_file_keeps_its_precision_with_a_word(file, digits):
    asked = Training(epochs=1, precision="mixed_bfloat16")
    with pytest.warns(UserWarning, match="'t': mine.keras keeps the precision that it"):
        Train("t", file, asked).check(digits, {})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Train("t", file, SHORT).check(digits, {})


@pytest.mark.slow
def test_it_teaches_and_is_pruned_from_labels_alone(file, tmp_path, digits):
    """A loaded teacher, a student taught by it, the file itself pruned without one."""
    recipe = Recipe(
        "own",
        "digits",
        (
            Load("teacher", file, exports=LITERT),
            Distill(
                "student",
                Net("mlp", {"widths": (16,)}),
                SHORT,
                Teaching("teacher", views=1),
                exports=(),
            ),
            Prune("prune", file, SHORT, sparsity=0.5, scope="layer", exports=()),
        ),
    )
    folder = RunFolder(run(recipe, tmp_path / "run"))
    assert [
        folder.stage(stage.name, 0).read_about()["what"] for stage in recipe.stages
    ] == [
        "mine.keras as it is",
        "mlp taught by the teacher",
        "mine.keras pruned to 50% zeros, trained on the labels",
    ]
    [row] = folder.read_rows()
    test = list(pipeline.evaluation_batches(digits, "test"))
    labels = np.concatenate([label for _, label in test])
    own = measure.accuracy(measure.logits(file.path, test), labels)
    assert row["top1"] == own
    pruned = export.load(folder.stage("prune", 0).model).model
    for layer in (pruned.layers[2], pruned.layers[-1]):
        kernel = keras.ops.convert_to_numpy(layer.kernel)
        assert (kernel == 0).sum() == round(0.5 * kernel.size)


def test_a_file_whose_classes_have_another_order_is_refused(tmp_path):
    data = load("digits")
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    model.save(tmp_path / "net.keras")
    start = File(str(tmp_path / "net.keras"))
    Deployment.of(data).write(tmp_path / "deploy.json")
    start.built(data)
    turned = dataclasses.replace(data, class_names=data.class_names[::-1])
    Deployment.of(turned).write(tmp_path / "deploy.json")
    with pytest.raises(ValueError, match="classes of digits in another order: 9, 8, 7"):
        start.built(data)
    folder = tmp_path / "alone"
    names = {"class_names": turned.class_names, "mean": data.mean, "std": data.std}
    start = File(str(export.archive(model, folder / "net.limbeck", **names)))
    with pytest.raises(ValueError, match="net.limbeck has the classes of digits in an"):
        start.built(data)
