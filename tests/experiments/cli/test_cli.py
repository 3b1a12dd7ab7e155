"""The command line: bad input is one line and exit status 2; commands do their job."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import architectures
from experiments.cli import main as cli

ROOT = Path(__file__).resolve().parents[3]


def failure(capsys, *arguments):
    """The one line with which the command refuses."""
    assert cli.main([str(a) for a in arguments]) == 2
    captured = capsys.readouterr()
    [line] = captured.err.strip().splitlines()
    assert line.startswith("limbeck: ")
    return line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "mnits"], "no data called 'mnits'; choose from mnist5k"),
        (["--stages", "teach"], "no stage called 'teach'; choose from teacher, stud"),
        (["--set", "teacher.net.name=resnet21"], "no net called 'resnet21'; choose fr"),
        (["--set", "teacher.epochs=3"], "no field called 'epochs'"),
        (["--set", "student.net.options.widht=1"], "unexpected keyword argument 'wid"),
        (["--data", "digits"], "alexnet_small takes images of 28 to 64 px"),
        (["--data", "folder:nowhere"], "nowhere"),
    ],
)
def test_demo_refuses(arguments, message, capsys, tmp_path):
    line = failure(capsys, "demo", "--smoke", "--out", tmp_path / "run", *arguments)
    assert message in line
    assert not (tmp_path / "run").exists()


def test_demo_refuses_a_folder_with_one_class(capsys, tmp_path):
    (tmp_path / "photos/cat").mkdir(parents=True)
    Image.new("RGB", (32, 32)).save(tmp_path / "photos/cat/1.png")
    line = failure(
        capsys, "demo", "--data", f"folder:{tmp_path}/photos", "--out", tmp_path / "run"
    )
    assert "class" in line
    assert not (tmp_path / "run").exists()


def test_demo_names_an_unreadable_image(capsys, tmp_path):
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(10):
            pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"photos/{name}/{i}.jpg")
    (tmp_path / "photos/dog/3.jpg").write_bytes(b"no image")
    line = failure(
        capsys, "demo", "--data", f"folder:{tmp_path}/photos", "--out", tmp_path / "run"
    )
    assert "dog/3.jpg" in line and "--skip-bad-images" in line


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    model = architectures.build("alexnet_small", input_shape=(28, 28, 1), width=0.06)
    path = tmp_path_factory.mktemp("models") / "net.keras"
    model.save(path)
    return path


def test_export_and_measure(model_file, tmp_path, capsys):
    out = tmp_path / "net.tflite"
    arguments = ["--precision", "int8", "--data", "mnist5k"]
    assert cli.main(["export", str(model_file), str(out), *arguments]) == 0
    capsys.readouterr()
    assert cli.main(["measure", str(out), "--data", "mnist5k", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["examples"] == 1000 and 0 <= row["top1"] <= 1
    assert row["bytes"] == out.stat().st_size < 0.3 * model_file.stat().st_size
    model = keras.saving.load_model(model_file)
    assert row["parameters"] < model.count_params()  # batch norm is folded
    line = failure(capsys, "export", out, tmp_path / "again.tflite")
    assert "net.tflite was exported already: give the .keras file" in line


def test_export_and_measure_refuse(model_file, tmp_path, capsys):
    line = failure(capsys, "measure", tmp_path / "none.tflite")
    assert "none.tflite" in line
    line = failure(capsys, "export", tmp_path / "none.keras", tmp_path / "a.tflite")
    assert "none.keras" in line
    half = tmp_path / "half.keras"
    half.write_bytes(model_file.read_bytes()[:3000])
    line = failure(capsys, "export", half, tmp_path / "a.tflite")
    assert "half.keras is not a readable" in line
    line = failure(
        capsys, "export", model_file, tmp_path / "a.tflite", "--precision", "int4"
    )
    assert "int4" in line and "int8" in line
    assert not (tmp_path / "a.tflite").exists()


def test_report_refuses_a_folder_without_rows(tmp_path, capsys):
    assert "rows.jsonl" in failure(capsys, "report", tmp_path)


def test_a_reader_that_has_seen_enough_is_no_error():
    command = f"{sys.executable} -m experiments.cli nets --json | head -c 10"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
