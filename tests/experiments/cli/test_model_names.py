"""A model in words: what each form stands for, and the nearest name of a wrong one."""

import json
from pathlib import Path

import pytest

from experiments.cli import model_names
from experiments.stages.application import Application
from experiments.stages.file import File
from experiments.stages.net import Net


@pytest.fixture
def run(tmp_path):
    """A run folder with `train` of seeds 0 and 2, and `teacher` that all share."""
    for home in ("seed0/train", "seed2/train", "once/teacher", "seed0/half.partial"):
        (tmp_path / "run/stages" / home).mkdir(parents=True)
        (tmp_path / "run/stages" / home / "model.keras").write_text(home)
    (tmp_path / "run/recipe.json").write_text(json.dumps({"name": "x", "stages": []}))
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("resnet20", Net("resnet20")),
        ("alexnet_small(width=0.125, dropout=0.1)",
         Net("alexnet_small", {"width": 0.125, "dropout": 0.1})),
        ('resnet18(weights="published")', Net("resnet18", {}, "published")),
        ('resnet18(weights="a/b.pth")', Net("resnet18", {}, "a/b.pth")),
        ("keras.applications:MobileNetV2", Application("MobileNetV2")),
        ('keras.applications:MobileNetV2(alpha=0.35, weights="imagenet")',
         Application("MobileNetV2", {"alpha": 0.35}, "imagenet")),
    ],
)  # fmt: skip
def test_nets(text, expected):
    assert model_names.start(text) == expected


def test_files_and_stages(run, tmp_path):
    (tmp_path / "my.keras").write_text("mine")
    found = model_names.start(str(tmp_path / "my.keras"))
    assert isinstance(found, File) and found.name == "my.keras"
    for words, home in (
        ("train", "seed0/train"),
        ("train[seed2]", "seed2/train"),
        ("teacher", "once/teacher"),
    ):
        path = Path(model_names.start(f"{run}:{words}").path)
        assert path == run / "stages" / home / "model.keras"
        assert model_names.of_stage(f"{run}:{words}") == path
    assert model_names.of_stage(f"{tmp_path}:train") is None  # no run folder
    assert model_names.of_stage("net.keras") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resnet21", r"no net called 'resnet21' \(did you mean resnet20\?\)"),
        ("MobilenetV2", r"did you mean keras.applications:MobileNetV2\?"),
        ("keras.applications:MobileNetV9", r"did you mean MobileNetV[23]"),
        ("lenet5(0.5)", r"must be as lenet5\(width=0.5, dropout=0.1\)"),
        ("lenet5(width=open('x'))", "options of a net must be as"),
        ("lenet5(**{'a': 1})", "options of a net have names"),
        ("lenet5(", "options of a net must be as"),
    ],
)
def test_what_is_no_net(text, message):
    with pytest.raises(ValueError, match=message):
        model_names.start(text)


def test_what_is_no_file_and_no_stage(run):
    with pytest.raises(FileNotFoundError, match="no model file gone.keras"):
        model_names.start("gone.keras")
    with pytest.raises(FileNotFoundError, match="no model file and no run folder a/b"):
        model_names.start("a/b:c")
    with pytest.raises(FileNotFoundError, match="no model file and no run folder a:c"):
        model_names.start("a:c")
    with pytest.raises(
        ValueError, match=r"'trian' .*did you mean train\?.*teacher, tr"
    ):
        model_names.start(f"{run}:trian")
    with pytest.raises(ValueError, match="stage called 'train' of seed 1; there are"):
        model_names.start(f"{run}:train[seed1]")
    with pytest.raises(ValueError, match="stage called 'half'"):
        model_names.start(f"{run}:half")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("resnet20", "resnet20"),
        ("a/b/my net.keras", "my-net"),
        ("runs/demo-mnist5k:distill[seed2]", "demo-mnist5k-distill-seed2"),
        ("keras.applications:MobileNetV2(alpha=0.35)", "MobileNetV2-alpha-0.35"),
        ("...", "..."),
    ],
)
def test_in_paths(text, expected):
    assert model_names.in_paths(text) == expected
