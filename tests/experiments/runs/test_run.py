"""The run folder: a whole small run on real digits, killed, resumed, refused."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from compression import export
from experiments import report
from experiments.data.augment import Augment
from experiments.recipe import Recipe
from experiments.runs import measured
from experiments.runs.layout import RunFolder
from experiments.runs.prepared import prepare
from experiments.runs.run import run
from experiments.stages.base import Export
from experiments.stages.distill import Distill
from experiments.stages.file import File
from experiments.stages.net import Net
from experiments.stages.prune import Prune
from experiments.stages.quantize import Quantize
from experiments.stages.teaching import Teaching
from experiments.stages.train import Train
from experiments.training.settings import Training

LITERT = (Export("litert"),)
SHORT = Training(epochs=2, batch_size=128, learning_rate=3e-3)
STUDENT = Net("alexnet_small", {"width": 0.03, "dropout": 0.1})
TEACHING = Teaching("teacher", views=2)
RECIPE = Recipe(
    name="small",
    data="digits",
    image_size=28,
    augment=Augment(pad=2),
    stages=(
        Train("teacher", Net("mlp", {"widths": (32, 24)}), SHORT, exports=LITERT),
        Distill("distill", STUDENT, SHORT, TEACHING, exports=LITERT),
        Prune("prune", "distill", SHORT, TEACHING),
        Quantize("int8", "prune", exports=(Export("litert", "int8"),)),
    ),
)


def rows_of(out):
    return RunFolder(out).read_rows()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run(RECIPE, tmp_path_factory.mktemp("runs") / "whole")


def test_a_run_leaves_rows_models_and_records(whole):
    rows = rows_of(whole)
    assert [row["stage"] for row in rows] == ["teacher", "distill", "prune", "int8"]
    for row in rows:
        assert row["split"] == "test" and row["examples"] == 359
        assert (whole / row["file"]).exists()
        assert row["bytes"] == (whole / row["file"]).stat().st_size
    environment = json.loads((whole / "environment.json").read_text())
    assert environment["keras"] == keras.__version__
    assert environment["peak_memory_bytes"] > 2**27
    data = json.loads((whole / "data.json").read_text())
    assert (data["train"], data["validation"], data["test"]) == (1259, 179, 359)


def test_rows_say_what_the_exported_files_do(whole):
    """Each file, run again by its own runtime, scores what the row says."""
    from experiments.data import load, pipeline

    data = load("digits", image_size=28)
    test = list(pipeline.evaluation_batches(data, "test").as_numpy_iterator())
    images, labels = (np.concatenate(part) for part in zip(*test, strict=True))
    for row in rows_of(whole):
        for file in row["files"]:
            logits = export.load(whole / file["file"])(images)
            assert file["top1"] == (logits.argmax(-1) == labels).mean()
            if file["format"] == "litert":  # one of the two says how it is on a board
                assert (file["arena_bytes"] is None) == bool(file["board_refusal"])


def test_answers_and_kernels_are_kept_for_the_report(whole):
    measured = RunFolder(whole).measure(0)
    answers = dict(np.load(measured.answers))
    kernels, rows = measured.read_kernels(), rows_of(whole)
    assert answers["stages"].tolist() == [row["stage"] for row in rows] == [*kernels]
    for row, given in zip(rows, answers["answers"], strict=True):
        assert (given != answers["labels"]).sum() == row["errors"]
    prune, int8 = kernels["prune"], kernels["int8"]
    assert [k["name"] for k in prune] == [k["name"] for k in int8]
    zeros = sum(k["size"] - k["nonzero"] for k in prune)
    assert zeros >= 0.79 * sum(k["size"] for k in prune)
    assert max(k["values"] for k in int8) <= 255 < max(k["values"] for k in prune)


def test_what_is_shipped_says_how_to_feed_it(whole):
    """deploy.json alone turns a picture into the file's answer."""
    from experiments.data import load, pipeline

    folder = whole / "stages/seed0/prune"
    deploy = json.loads((folder / "deploy.json").read_text())
    data = load("digits", image_size=28)
    fed = (data.test.images[:8] / 255 - deploy["mean"]) / deploy["std"]
    batch, _ = next(iter(pipeline.evaluation_batches(data, "test", batch_size=8)))
    np.testing.assert_allclose(fed, batch, atol=1e-5)
    runner = export.load(folder / "model.float32.tflite")
    assert runner(fed).shape == (8, len(deploy["class_names"]))
    assert list(runner.input_shape) == deploy["image_shape"]


def test_the_pruned_net_is_sparse_and_zips_smaller(whole):
    _, distill, prune, int8 = rows_of(whole)
    kernels = 1 - prune["nonzero"] / prune["parameters"]
    assert 0.7 < kernels <= 0.8  # biases and batch norm are not pruned
    assert prune["bytes_zipped"] < 0.7 * distill["bytes_zipped"]
    assert int8["bytes"] < 0.6 * prune["bytes"]
    assert int8["agreement"] > 0.9


def test_a_finished_run_runs_nothing_again(whole, monkeypatch):
    kept = [*whole.rglob("model.*"), whole / "environment.json"]
    before = {p: p.stat().st_mtime_ns for p in kept}
    rows = rows_of(whole)
    monkeypatch.setattr(
        measured, "measured_rows", lambda *_: pytest.fail("it measured again")
    )
    monkeypatch.setenv("LIMBECK_CACHE", "/proc/limbeck")  # not needed any more
    run(RECIPE, whole)
    assert {p: p.stat().st_mtime_ns for p in kept} == before
    assert rows_of(whole) == rows


def test_the_folder_of_another_recipe_is_refused(whole):
    before = (whole / "recipe.json").read_bytes()
    teacher = dataclasses.replace(
        RECIPE.stages[0], training=dataclasses.replace(SHORT, epochs=3)
    )
    other = dataclasses.replace(RECIPE, stages=(teacher, *RECIPE.stages[1:]))
    with pytest.raises(
        ValueError, match="training.epochs: 2 there, 3 asked for.*--out"
    ):
        run(other, whole)
    with pytest.raises(ValueError, match="data: digits there, mnist5k asked for"):
        run(dataclasses.replace(RECIPE, data="mnist5k"), whole)
    assert (whole / "recipe.json").read_bytes() == before


def test_a_folder_that_is_no_run_folder_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="is not empty and not a run folder"):
        run(RECIPE, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("seeds", [2, (), "01", (0, -1), (0.5,), (True,), None])
def test_what_are_no_seeds_is_refused(seeds, tmp_path):
    with pytest.raises(ValueError, match="seeds must be whole numbers from 0 on"):
        run(RECIPE, tmp_path / "run", seeds=seeds)
    assert not (tmp_path / "run").exists()


def test_the_home_folder_has_a_short_name(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert prepare(RECIPE, "~/run", stages="teacher") == tmp_path / "run"
    with pytest.raises(FileNotFoundError, match=f"{tmp_path}/run.*measured nothing"):
        report.summary("~/run")
    with pytest.raises(ValueError, match="expected the path of a file, got"):
        run(RECIPE, None)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_part_of_the_images_is_a_run_of_its_own(tmp_path):
    some = dataclasses.replace(RECIPE, train_images=500)
    with pytest.raises(ValueError, match="train_images must be from 10 .*, got 2000"):
        prepare(dataclasses.replace(RECIPE, train_images=2000), tmp_path)
    out = RunFolder(prepare(some, tmp_path / "run"))
    data = out.read_data()
    assert (data["train"], data["validation"], data["test"]) == (500, 71, 359)
    with pytest.raises(ValueError, match="train_images: 500 there, None asked for"):
        prepare(RECIPE, out.path)


def test_a_net_whose_macs_nobody_knows_is_trained_and_measured(tmp_path):
    keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Reshape((8, 8)),
            keras.layers.SimpleRNN(6),
            keras.layers.Dense(10),
        ]
    ).save(tmp_path / "rows.keras")
    stage = Train("rows", File(str(tmp_path / "rows.keras")), SHORT, exports=LITERT)
    with pytest.warns(UserWarning, match="the MACs of operator WHILE"):
        out = run(Recipe("rows", "digits", (stage,)), tmp_path / "run")
    [row] = rows_of(out)
    assert row["macs"] is None and row["parameters"] == 8 * 6 + 6 * 6 + 6 + 6 * 10 + 10
    assert "missing" not in report.summary(out)
    assert report.write(out).exists()
