"""`limbeck export` and `limbeck measure`: one writes files, the other reads them."""

import json
import math
import shlex

import keras
import pytest

from experiments.cli import export, measure
from experiments.cli import main as cli


def commands(examples):
    """The words of each example behind "limbeck"."""
    lines = examples.strip().splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines]


def test_the_examples(model_file, tmp_path, monkeypatch, capsys, refusal):
    """An int8 file and a SavedModel are written; what was written is measured."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.keras").write_bytes(model_file.read_bytes())
    _, int8, saved_model = commands(export.EXAMPLES)
    assert cli.main(int8) == cli.main(saved_model) == 0
    assert capsys.readouterr().out.split() == ["net.tflite", "saved_model"]
    assert (tmp_path / "saved_model/saved_model.pb").exists()
    bare, with_data, whole = commands(measure.EXAMPLES)
    assert cli.main(bare) == 0
    assert "top1" not in capsys.readouterr().out
    assert cli.main([*with_data, "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["examples"] == 1000 and 0 <= row["top1"] <= 1
    size = (tmp_path / "net.tflite").stat().st_size
    assert row["bytes"] == size < 0.3 * model_file.stat().st_size
    assert cli.main(whole) == 0
    parameters = json.loads(capsys.readouterr().out)["parameters"]
    weights = keras.saving.load_model(model_file).trainable_weights
    assert parameters == sum(math.prod(weight.shape) for weight in weights)
    assert row["parameters"] < parameters  # batch norm is folded
    line = refusal("export", "net.tflite", "again.tflite")
    assert "net.tflite was exported already: give the .keras file" in line


@pytest.mark.parametrize("verb", [["measure"], ["export", "a.tflite"]])
def test_a_missing_file_is_named(verb, refusal, tmp_path):
    assert "none.keras" in refusal(verb[0], tmp_path / "none.keras", *verb[1:])


def test_export_refuses(refusal, model_file, tmp_path):
    half = tmp_path / "half.keras"
    half.write_bytes(model_file.read_bytes()[:3000])
    line = refusal("export", half, tmp_path / "a.tflite")
    assert "half.keras is not a readable" in line
    line = refusal("export", model_file, tmp_path / "a.tflite", "--precision", "int4")
    assert "int4" in line and "int8" in line
    assert not (tmp_path / "a.tflite").exists()
