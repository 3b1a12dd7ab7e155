"""What train, distill, transfer and pretrain ask of a run, without running it."""

import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from experiments.cli import main as cli
from experiments.cli import report
from experiments.data.augment import Augment
from experiments.data.datasets import load
from experiments.deployment import Deployment
from experiments.runs import run as runs
from experiments.stages.application import Application
from experiments.stages.choose_weight import ChooseWeight
from experiments.stages.net import Net

pytestmark = pytest.mark.usefixtures("eagerly")


@pytest.fixture
def asked(monkeypatch):
    """A list: the recipe and the folder of each run that was asked for."""
    calls = []
    monkeypatch.setattr(
        runs, "run", lambda recipe, out, **_: calls.append((recipe, out))
    )
    monkeypatch.setattr(report, "show", lambda folder: None)
    return calls


def one(asked, *words):
    assert cli.main(list(words)) == 0
    return asked[-1]


def saved(path, classes=10, bias=None):
    """A .keras file for digits of 8 px: with `bias` it always gives the same answer."""
    image = keras.Input((8, 8, 1))
    logits = keras.layers.Dense(classes, name="logits")
    model = keras.Model(image, logits(keras.layers.Flatten()(image)))
    if bias is not None:
        kernel, _ = logits.get_weights()
        logits.set_weights([0 * kernel, bias])
    model.save(path)
    return path


def knows_digits(path):
    """Likewise, that knows digits by logistic regression of pixels from 0 to 1.

    Others it cuts to 0 and 1: what is linear all through would hardly mind them.
    """
    from sklearn.linear_model import LogisticRegression

    train = load("digits").train
    found = LogisticRegression(max_iter=300, C=1000).fit(
        train.images.reshape(train.size, -1) / 255, train.labels
    )
    image = keras.Input((8, 8, 1))
    logits = keras.layers.Dense(10, name="logits")
    cut = keras.layers.ReLU(max_value=1.0)(keras.layers.Flatten()(image))
    model = keras.Model(image, logits(cut))
    logits.set_weights([found.coef_.T, found.intercept_])
    model.save(path)
    return path


def test_train(asked):
    words = (
        "train",
        "alexnet_small(width=0.125)",
        "--data",
        "mnist5k",
        "--epochs",
        "7",
    )
    recipe, out = one(asked, *words)
    [stage] = recipe.stages
    assert stage.start == Net("alexnet_small", {"width": 0.125})
    assert (stage.name, stage.training.epochs, stage.training.learning_rate) == (
        "train", 7, 1e-3
    )  # fmt: skip
    assert recipe.data == "mnist5k" and recipe.normalisation is None
    assert recipe.augment == Augment(pad=2)
    assert out == Path("runs/train-alexnet_small-width-0.125-mnist5k")


def test_what_the_pixels_are_by_the_kind_of_net(asked):
    data = ("--data", "folder:photos", "--image-size", "96")
    recipe, _ = one(asked, "train", "keras.applications:MobileNetV3Small", *data)
    assert recipe.normalisation == "0..255"  # it normalises them itself
    assert recipe.image_size == 96 and recipe.augment.random_resized_crop
    recipe, out = one(asked, "train", "keras.applications:MobileNetV2", *data)
    assert recipe.normalisation is None
    assert out == Path("runs/train-MobileNetV2-photos")
    recipe, _ = one(asked, "transfer", 'resnet18(weights="published")', *data)
    assert recipe.normalisation == "imagenet"
    more = ("--normalisation", "0.5/0.25", "--skip-bad-images")
    recipe, _ = one(asked, "transfer", 'resnet18(weights="published")', *data, *more)
    assert recipe.normalisation == "0.5/0.25" and recipe.skip_bad_images


def test_a_file_brings_size_and_normalisation(asked, tmp_path):
    file = saved(tmp_path / "net.keras")
    known = Deployment((8, 8, 1), (0.1,), (0.3,), tuple("0123456789"))
    known.write(tmp_path / "net.deploy.json")
    recipe, out = one(asked, "train", str(file), "--data", "digits")
    assert (recipe.normalisation, recipe.image_size) == (((0.1,), (0.3,)), 8)
    assert out == Path("runs/train-net-digits")


def test_a_teacher_that_nothing_is_known_of_is_tried(asked, tmp_path, capsys, refusal):
    file = knows_digits(tmp_path / "good.keras")
    words = ("--student", "lenet5", "--data", "digits", "--alone")
    recipe, out = one(asked, "distill", "--teacher", str(file), *words)
    assert recipe.normalisation == "0..1"
    assert "as 0..1 (top-1 on 200 train images is 100" in capsys.readouterr().err
    teacher, student, distill = recipe.stages
    assert teacher.once and teacher.name == distill.teacher == "teacher"
    assert student.start == distill.start == Net("lenet5")
    assert out == Path("runs/distill-good-lenet5-digits")
    bad = saved(tmp_path / "bad.keras", bias=np.eye(10)[3])
    line = refusal_after_notes("distill", "--teacher", bad, *words, capsys=capsys)
    assert "bad.keras is no better than guessing on 200 train images of digits" in line


def refusal_after_notes(*words, capsys):
    assert cli.main([str(word) for word in words]) == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_a_teacher_by_name_is_trained(asked):
    words = ("--teacher", "resnet20", "--student", "lenet5", "--data", "mnist5k")
    recipe, _ = one(asked, "distill", *words)
    assert [stage.name for stage in recipe.stages] == ["teacher", "distill"]
    assert recipe.stage("teacher").start == Net("resnet20")
    assert not recipe.stage("teacher").once


def scaling(path):
    """A .keras file that scales pixels of 0 to 255 itself."""
    scale = keras.layers.Rescaling(1 / 255, name="to_one")
    body = [keras.Input((8, 8, 1)), scale, keras.layers.Flatten()]
    keras.Sequential([*body, keras.layers.Dense(10)]).save(path)
    return str(path)


def test_a_student_that_scales_its_pixels_is_not_given_scaled_ones(
    asked, tmp_path, capsys, refusal
):
    student = scaling(tmp_path / "student.keras")
    words = ("distill", "--data", "digits", "--teacher", "resnet20", "--student")
    line = refusal(*words, student)
    assert "student.keras takes pixels of 0..255 and scales them itself" in line
    assert "as train, as its teacher does: they would be scaled twice; save it" in line
    line = refusal(*words, "keras.applications:MobileNetV3Small")
    assert line.endswith("MobileNetV3Small(include_preprocessing=False)")
    one(asked, *words, student, "--normalisation", "0..255")
    assert capsys.readouterr().err == ""
    one(asked, *words, student, "--normalisation", "0..1")
    assert "warning: the student" in (err := capsys.readouterr().err)
    assert "0..1, as its teacher does: they would be scaled twice" in err


def test_a_student_that_has_learned_from_other_pixels_is_a_warning(
    asked, tmp_path, capsys
):
    student = saved(tmp_path / "student.keras")
    known = Deployment((8, 8, 1), (0.1,), (0.3,), tuple("0123456789"))
    known.write(tmp_path / "student.deploy.json")
    words = ("distill", "--data", "digits", "--student", str(student), "--teacher")
    one(asked, *words, "resnet20")
    assert "learned from pixels normalised as 0.1/0.3, and" in capsys.readouterr().err
    one(asked, *words, str(student))
    assert capsys.readouterr().err == ""


def test_a_student_without_scaling_of_a_teacher_that_scales_is_a_warning(asked, capsys):
    words = ("distill", "--data", "folder:photos", "--student", "resnet20", "--teacher")
    one(asked, *words, "keras.applications:MobileNetV3Small")
    assert "resnet20 is given pixels from 0 to 255, as its" in capsys.readouterr().err


def test_the_weight_of_the_teacher_s_loss_is_tried(asked):
    words = ("--teacher", "resnet20", "--student", "lenet5", "--data", "mnist5k")
    recipe, _ = one(asked, "distill", *words, "--trials", "3", "--epochs", "10")
    choice, student = recipe.stages[-2:]
    assert isinstance(choice, ChooseWeight) and student.weighed_by == choice.name
    assert (choice.trials, choice.training.epochs) == (3, 2)
    assert replace(student.teaching, weighed_by=None) == choice.teaching
    assert (student.start, student.training.epochs) == (choice.start, 10)


def test_transfer(asked, tmp_path, capsys, refusal):
    file = saved(tmp_path / "net.keras", classes=4)
    words = ("--data", "digits", "--unfreeze", "head", "--labels", "50")
    recipe, _ = one(asked, "transfer", str(file), *words)
    [stage] = recipe.stages
    assert (stage.unfreeze, stage.labels, recipe.image_size) == ("head", 50, 8)
    assert "as train (nothing says otherwise; --norm" in capsys.readouterr().err
    line = refusal("transfer", "resnet20", "--data", "digits")
    assert "resnet20 has learned nothing that could be transferred" in line
    recipe, _ = one(asked, "transfer", "keras.applications:MobileNetV2", *words)
    assert recipe.stage("transfer").start == Application("MobileNetV2", {}, "imagenet")
    assert recipe.normalisation == "-1..1"


def test_pretrain(asked):
    recipe, out = one(asked, "pretrain", "lenet5", "--data", "mnist5k")
    assert [type(stage).__name__ for stage in recipe.stages] == ["Pretrain", "Probe"]
    assert out == Path("runs/pretrain-rotation-lenet5-mnist5k")
    words = ("pretrain", "lenet5", "--data", "unlabelled:photos", "--method", "simclr")
    recipe, _ = one(asked, *words)
    [stage] = recipe.stages
    assert stage.augment.random_resized_crop and stage.exports == ()
    words = ("pretrain", "lenet5", "--data", "mnist5k", "--method", "supervised")
    recipe, _ = one(asked, *words, "--smoke", "--set", "pretrain.training.batch_size=9")
    [stage] = recipe.stages
    assert (stage.training.epochs, stage.training.batch_size) == (3, 9)


@pytest.mark.slow
def test_from_one_to_the_next(tmp_path, capsys, monkeypatch):
    """Train, teach, transfer, pretrain on arrays, each from the run before."""
    monkeypatch.chdir(tmp_path)
    digits = load("digits", image_size=28)
    parts = {"x_train": digits.train.images, "y_train": digits.train.labels}
    parts |= {"x_test": digits.test.images, "y_test": digits.test.labels}
    np.savez("digits.npz", **parts)
    data = ("--data", "npz:digits.npz", "--epochs", "2")

    def rows_of(*words):
        assert cli.main([*words, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert Path(found["report"]).is_file()
        return {row["stage"]: row for row in found["rows"]}

    rows = rows_of("train", "lenet5_caffe", *data, "--out", "a")
    assert rows["train"]["top1"] > 0.8
    words = ("--teacher", "a:train", "--student", "lenet5_caffe")
    rows = rows_of("distill", *words, *data, "--out", "b", "--seeds", "2")
    assert rows["distill"]["top1"] > 0.8 and rows["teacher"]["once"]
    words = ("transfer", "b:distill[seed1]", "--data", "npz:digits.npz[1,4,7]")
    assert rows_of(*words, "--epochs", "5", "--out", "c")["transfer"]["top1"] > 0.8
    words = ("pretrain", "lenet5_caffe", "--data", "unlabelled:photos", "--epochs", "1")
    Path("photos").mkdir()
    for i, image in enumerate(digits.train.images[:40]):
        keras.utils.save_img(f"photos/{i}.png", image, scale=False)
    assert cli.main([*words, "--image-size", "28", "--out", "d"]) == 0
    assert "Nothing was to be measured" in capsys.readouterr().out
    assert cli.main(["measure", "a:train", "--data", "npz:digits.npz", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["top1"] > 0.8
