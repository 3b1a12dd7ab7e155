"""`limbeck prune`: groups explained and drawn, a smaller file and its plan written."""

import dataclasses
import json
import math

import keras
import numpy as np
import pytest

from compression import export, measure, pruning
from experiments import deployment
from experiments.cli import main as cli
from experiments.cli import prune
from experiments.deployment import Deployment

pytestmark = pytest.mark.usefixtures("eagerly")


def test_groups_are_explained_and_drawn(model_file, tmp_path, capsys):
    picture = tmp_path / "groups.svg"
    words = ["prune", model_file, "--explain", "--draw", picture]
    assert cli.main(list(map(str, words))) == 0
    out = capsys.readouterr().out
    assert out.startswith("alexnet_small: ")
    groups = pruning.channel_groups(keras.saving.load_model(model_file))
    for group in groups:
        assert str(group) in out
    assert "never removed: output" in out
    assert out.endswith(f"Drawing: {picture}\n") and picture.read_text()


def test_a_smaller_file_and_its_plan(model_file, tmp_path, capsys, refusal):
    net = tmp_path / "net.keras"
    net.write_bytes(model_file.read_bytes())
    Deployment((28, 28, 1), (0.1,), (0.3,), tuple("0123456789")).write_beside(net)
    out, plan_file = tmp_path / "smaller.keras", tmp_path / "smaller.plan.json"
    words = ["prune", net, "--macs", 0.5, "--parameters", 0.6, "--out", out]
    assert cli.main(list(map(str, words))) == 0
    whole, smaller = map(keras.saving.load_model, (net, out))
    printed = capsys.readouterr().out
    for of in (measure.macs, lambda model: measure.parameters(model).count):
        assert f"{of(whole):,} -> {of(smaller):,} " in printed
    assert printed.splitlines()[-2:] == [str(out), str(plan_file)]
    assert measure.macs(smaller) <= 0.5 * measure.macs(whole)
    plan = pruning.load_plan(plan_file)
    again = pruning.remove_channels(whole, plan)
    for one, other in zip(again.get_weights(), smaller.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (tmp_path / "smaller.deploy.json").exists()
    before = out.read_bytes()
    assert f"{out} exists" in refusal(*words)
    assert out.read_bytes() == before

    # The plan, edited by hand.
    record = json.loads(plan_file.read_text())
    layer = next(iter(record["layers"]))
    record["layers"][layer]["kept"] = [0]
    plan_file.write_text(json.dumps(record))
    edited = tmp_path / "edited.keras"
    words = ["prune", net, "--plan", plan_file, "--out", edited]
    assert cli.main(list(map(str, words))) == 0
    assert keras.saving.load_model(edited).get_layer(layer).filters == 1


def test_an_archives_own_words_stay_with_the_smaller_file(tmp_path):
    image = keras.Input((6, 6, 1))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(8, 3)(image))
    about = {"class_names": ["a", "b"], "mean": [0.1], "std": [0.3]}
    net = keras.Model(image, keras.layers.Dense(2)(x))
    file = export.archive(net, tmp_path / "net.limbeck", **about)
    words = ["prune", file, "--parameters", 0.6, "--out", tmp_path / "b.keras"]
    assert cli.main(list(map(str, words))) == 0
    assert deployment.beside(tmp_path / "b.keras").class_names == ("a", "b")


def test_a_record_of_another_file_is_not_inherited_nor_overwritten(tmp_path, refusal):
    """Whose name is the new file's but for the ending."""
    image = keras.Input((6, 6, 1))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(8, 3)(image))
    net = keras.Model(image, keras.layers.Dense(2)(x))
    net.save(alone := tmp_path / "alone.keras")
    (other := tmp_path / "b.limbeck").touch()
    known = Deployment((6, 6, 1), (0.1,), (0.3,), ("a", "b"))
    known.write_beside(other)
    words = ["--parameters", 0.6, "--out", out := tmp_path / "b.keras"]
    assert cli.main(list(map(str, ["prune", alone, *words]))) == 0
    assert deployment.beside(out) is None and deployment.beside(other) == known
    out.unlink()
    (tmp_path / "b.plan.json").unlink()
    dataclasses.replace(known, mean=(0.2,)).write_beside(alone)
    line = refusal("prune", alone, *words)
    assert f"{out} must have another name than {other}" in line and not out.exists()


def test_images_rank_and_repair(model_file, tmp_path, monkeypatch):
    monkeypatch.setattr(prune, "IMAGES", 64)
    words = ["prune", model_file, "--macs", 0.5, "--saliency", "fisher"]
    words += ["--data", "mnist5k", "--scope", "isomorphic"]
    outs = [tmp_path / "cut.keras", tmp_path / "repaired.keras"]
    assert cli.main([*map(str, words), "--out", str(outs[0])]) == 0
    repairs = ["--reestimate", "--reconstruct", "--out", str(outs[1])]
    assert cli.main([*map(str, words), *repairs]) == 0
    cut, repaired = (keras.saving.load_model(out).get_weights() for out in outs)
    assert [w.shape for w in cut] == [w.shape for w in repaired]
    assert any(not np.allclose(a, b) for a, b in zip(cut, repaired, strict=True))
    assert all(math.isfinite(w.sum()) for w in repaired)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "how much may be left"),
        (["--macs", 1.5], "--macs: must be what is left"),
        (["--macs", "half"], "must be a number, got 'half'"),
        (["--macs", 0.5], "--out must be the .keras file to write, got None"),
        (["--macs", 0.5, "--out", "a.tflite"], "--out must be the .keras file"),
        (["--macs", 0.5, "--plan", "p.json", "--out", "a.keras"], "leave out --macs"),
        (["--explain", "--macs", 0.5], "--explain cuts nothing: leave out --macs"),
        (["--explain", "--exempt", "conv1"], "cuts nothing: leave out --exempt"),
        (
            [
                "--plan",
                "p.json",
                "--round-to",
                8,
                "--scope",
                "local",
                "--out",
                "a.keras",
            ],
            "--plan says what is kept: leave out --scope, --round-to",
        ),
        (
            ["--macs", 0.5, "--image-size", 9, "--out", "a.keras"],
            "28 px: leave out --im",
        ),
        (["--macs", 0.5, "--out", "/dev/null/a.keras"], "is no folder: '/dev/null'"),
        (["--explain", "--draw", "a.pdf"], "a .png or .svg file"),
        (["--macs", 0.5, "--draw", "a.svg", "--out", "a.keras"], "give --explain"),
        (["--macs", 0.5, "--reestimate", "--out", "a.keras"], "give --data"),
        (["--macs", 0.5, "--saliency", "luck", "--out", "a.keras"], "'luck'; choose"),
        (["--macs", 0.5, "--scope", "wide", "--out", "a.keras"], "scope called 'wide'"),
        (["--macs", 0.5, "--saliency", "hrank", "--out", "a.keras"], "give --data"),
        (["--macs", 0.001, "--out", "a.keras"], "cannot be reached: macs=0."),
        (["--macs", 0.5, "--exempt", "z*", "--out", "a.keras"], "is called 'z*'"),
        (["--plan", "none.json", "--out", "a.keras"], "none.json"),
        (["--macs", 0.5, "--data", "mnist5k", "--out", "a.keras"], "nothing looks at"),
    ],
)
def test_refusals(words, message, model_file, tmp_path, monkeypatch, refusal):
    monkeypatch.chdir(tmp_path)
    assert message in refusal("prune", model_file, *words)
    assert not list(tmp_path.iterdir())


def test_other_files_are_refused(refusal, tmp_path):
    line = refusal("prune", tmp_path / "none.keras", "--explain")
    assert "there is no model at" in line


def test_nets_of_two_inputs_and_of_an_open_size(tmp_path, capsys, refusal):
    inputs = [keras.Input((4, 4, 2)), keras.Input((4, 4, 1))]
    made = [keras.layers.Conv2D(8, 3)(each) for each in inputs]
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Add()(made))
    net = keras.Model(inputs, keras.layers.Dense(2)(x))
    net.save(file := tmp_path / "net.keras")
    words = ["prune", file, "--macs", "0.5", "--out", out := tmp_path / "smaller.keras"]
    assert cli.main(list(map(str, words))) == 0
    assert measure.macs(keras.saving.load_model(out)) <= 0.5 * measure.macs(net)

    open_net = keras.Sequential(
        [
            keras.Input((None, None, 2)),
            keras.layers.Conv2D(8, 3),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    open_net.save(open_file := tmp_path / "open.keras")
    words = ["prune", open_file, "--parameters", "0.5", "--out", tmp_path / "b.keras"]
    assert cli.main(list(map(str, words))) == 0  # its MACs are not known

    no_plan = ["prune", file, "--plan", file, "--out", tmp_path / "other.keras"]
    assert f"{file} is not a channel plan" in refusal(*no_plan)


def test_a_pattern_of_exempt_may_fit_layers_without_channels(tmp_path):
    layers = keras.layers
    net = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(8, 3, name="a_conv"),
            layers.ReLU(name="a_relu"),
            layers.Conv2D(8, 3, name="b_conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )
    net.save(tmp_path / "net.keras")
    words = ["prune", str(tmp_path / "net.keras"), "--parameters", "0.7"]
    out = tmp_path / "cut.keras"
    assert cli.main([*words, "--exempt", "a_*", "--out", str(out)]) == 0
    cut = keras.saving.load_model(out)
    assert cut.get_layer("a_conv").filters == 8 > cut.get_layer("b_conv").filters
