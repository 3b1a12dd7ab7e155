"""Verbs on a net that leaves the size of its images open."""

import json
from pathlib import Path

import keras
import pytest
from keras import layers

from compression import export
from experiments import deployment
from experiments.cli import main as cli


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A net inside a net, as people build on `keras.applications`; its archive."""
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 1))
    x = layers.Conv2D(12, 3, activation="relu", name="conv1")(image)
    inner = keras.Model(image, layers.Conv2D(8, 3, strides=2, name="conv2")(x))
    x = layers.GlobalAveragePooling2D()(inner(image))
    model = keras.Model(image, layers.Dense(10)(x))
    model.save("net.keras")
    names = [str(digit) for digit in range(10)]
    about = {"class_names": names, "mean": [0.3], "std": [0.25]}
    export.archive(model, "net.limbeck", **about)
    return tmp_path


def test_it_is_exported_for_one_size(folder, refusal, capsys):
    line = refusal("export", "net.keras", "net.tflite")
    assert "must fix its image size" in line and "--image-size" in line
    words = ["export", "net.limbeck", "net.tflite", "--image-size", "20"]
    assert cli.main(words) == 0
    assert export.load("net.tflite").input_shape == (20, 20, 1)
    assert deployment.of_file(Path("net.tflite")).image_shape == (20, 20, 1)
    words = ["export", "net.keras", "saved", "--image-size", "20"]
    assert cli.main(words) == 0
    assert export.load("saved").input_shape == (20, 20, 1)
    capsys.readouterr()
    line = refusal("export", "net.tflite", "net.h", "--image-size", "20")
    assert "--image-size go with --data" in line


@pytest.mark.parametrize(
    "words",
    [
        ["quantize", "net.keras", "--out", "new.tflite"],
        ["export", "net.keras", "new.tflite", "--precision", "int8"],
    ],
    ids=["quantize", "export"],
)
def test_it_is_exported_for_the_size_of_the_images_that_calibrate(folder, words):
    assert cli.main([*words, "--data", "digits"]) == 0
    assert export.load("new.tflite").input_shape == (8, 8, 1)
    assert deployment.of_file(Path("new.tflite")).image_shape == (8, 8, 1)


def test_a_size_that_it_does_not_have_is_refused(folder, refusal):
    keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten()]).save("own.keras")
    line = refusal("export", "own.keras", "own.tflite", "--image-size", "20")
    assert "takes images of 8 px: leave out --image-size 20" in line


@pytest.mark.parametrize(
    ("budget", "left"),
    [("--macs", "0.7"), ("--ram", "0.8"), ("--bytes", "0.8"), ("--latency", "0.95")],
)
def test_it_is_cut_by_what_it_takes_at_one_size(folder, budget, left, refusal, capsys):
    words = ["prune", "net.limbeck", budget, left, "--out", "cut.keras"]
    assert "--image-size" in refusal(*words)
    assert not Path("cut.keras").exists()
    assert cli.main([*words, "--image-size", "20"]) == 0
    assert "MACs" in capsys.readouterr().out
    cut = export.load_model("cut.keras")
    whole = export.load_model("net.keras")
    assert cut.count_params() < whole.count_params()
    if budget in ("--macs", "--ram"):  # else it is that of which a file was written
        assert cut.input_shape == (None, None, None, 1)
        again = ["prune", "net.keras", "--plan", "cut.plan.json", "--out", "a.keras"]
        assert cli.main(again) == 0
    # What is known of it lies beside it, can be read, and is used.
    known = deployment.of_file(Path("cut.keras"))
    assert known.mean == (0.3,) and known.image_shape[-1] == 1
    capsys.readouterr()
    assert cli.main(["measure", "cut.keras", "--data", "digits", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["examples"] == 359


@pytest.mark.parametrize("pattern", ["{}/conv1", "{}/*1", "*1"])
def test_a_layer_of_a_model_inside_is_exempt(folder, pattern):
    words = ["prune", "net.keras", "--macs", "0.8", "--image-size", "20"]
    inner = export.load_model("net.keras").layers[1]
    name = f"{inner.name}/conv1"
    assert (
        cli.main([*words, "--out", "cut.keras", "--exempt", pattern.format(inner.name)])
        == 0
    )
    plan = json.loads(Path("cut.plan.json").read_text())["layers"]
    assert len(plan[name]["kept"]) == 12
    assert len(plan[f"{inner.name}/conv2"]["kept"]) < 8
