"""Runs that are cut, stopped and taken up again, of a recipe that takes little time."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from experiments.data.augment import Augment
from experiments.recipe import Recipe
from experiments.runs.alone import alone
from experiments.runs.layout import RunFolder
from experiments.runs.run import run
from experiments.stages.base import Export
from experiments.stages.distill import Distill
from experiments.stages.net import Net
from experiments.stages.prune import Prune
from experiments.stages.teaching import Teaching
from experiments.stages.train import Train
from experiments.training import progress
from experiments.training.settings import Training

pytestmark = pytest.mark.usefixtures("eagerly", "no_board")

LITERT = (Export("litert"),)
SHORT = Training(epochs=2, batch_size=400, learning_rate=3e-3)
TEACHING = Teaching("teacher", views=2)
# Dropout is in it, and no convolution.
DENSE = Recipe(
    name="small",
    data="digits",
    augment=Augment(pad=2),
    stages=(
        Train("teacher", Net("mlp", {"widths": (24,)}), SHORT, exports=()),
        Distill(
            "distill",
            Net("mlp", {"widths": (16,), "dropout": 0.1}),
            SHORT,
            TEACHING,
            exports=(),
        ),
        Prune("prune", "distill", SHORT, TEACHING, exports=LITERT),
    ),
)
CHANGES_EVERY_TIME = {
    "latency_ms",
    "latency_low_ms",
    "latency_high_ms",
    "seconds",
    "images_per_second",
    "teacher_cache",  # who comes later finds more
}


def rows_of(out):
    return RunFolder(out).read_rows()


def lasting(value):
    """What must be the same in every run: rows without their timings."""
    if isinstance(value, dict):
        return {k: lasting(v) for k, v in value.items() if k not in CHANGES_EVERY_TIME}
    return [lasting(v) for v in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    return run(DENSE, tmp_path_factory.mktemp("runs") / "dense")


def test_an_interrupted_run_ends_like_a_whole_one(dense, tmp_path, monkeypatch):
    """Cut in the teacher, the distilled student, the pruned one: bit for bit."""
    out = tmp_path / "cut"
    interrupted = []

    def interrupt_in(stage):
        def interrupt(self, epoch, logs=None):
            if (out / f"stages/seed0/{stage}.partial").exists():
                interrupted.append(stage)
                raise KeyboardInterrupt

        return interrupt

    for stage in ("teacher", "distill", "prune"):
        with monkeypatch.context() as patch:
            patch.setattr(progress.Progress, "on_epoch_end", interrupt_in(stage))
            with pytest.raises(KeyboardInterrupt):
                run(DENSE, out)
        assert not (out / f"stages/seed0/{stage}/model.keras").exists()
        assert not (out / "rows.jsonl").exists()
    assert interrupted == ["teacher", "distill", "prune"]
    run(DENSE, out)
    assert lasting(rows_of(out)) == lasting(rows_of(dense))
    for stage in ("teacher", "distill", "prune"):
        here, there = (RunFolder(run).stage(stage, 0) for run in (out, dense))
        assert lasting(here.read_about()) == lasting(there.read_about())
    for path in sorted(dense.rglob("*.keras")):
        here = out / path.relative_to(dense)
        for a, b in zip(
            keras.saving.load_model(path).get_weights(),
            keras.saving.load_model(here).get_weights(),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)
    assert not list(out.rglob("*.partial"))


@pytest.mark.slow
def test_a_stage_alone_and_the_rest_later(dense, tmp_path):
    out = tmp_path / "steps"
    with pytest.raises(ValueError, match="'prune' needs 'distill'.*neither chosen nor"):
        run(DENSE, out, stages=["prune"])
    assert not out.exists()
    shutil.copytree(dense, out)
    for name in ("distill", "prune", "measure"):
        shutil.rmtree(out / "stages/seed0" / name)
    run(DENSE, out, stages=["prune", "distill"])
    assert lasting(rows_of(out)) == lasting(rows_of(dense))


@pytest.mark.slow
def test_a_later_stage_is_corrected_and_the_finished_ones_are_kept(
    dense, tmp_path, monkeypatch, capsys
):
    """Also where it was begun with wrong settings: their checkpoint is not used."""
    out = tmp_path / "corrected"
    shutil.copytree(dense, out)
    for name in ("prune", "measure"):
        shutil.rmtree(out / "stages/seed0" / name)
    *earlier, prune = DENSE.stages
    wrong = dataclasses.replace(prune, sparsity=0.2)

    def interrupt(self, epoch, logs=None):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(progress.Progress, "on_epoch_end", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(dataclasses.replace(DENSE, stages=(*earlier, wrong)), out)
    assert (out / "stages/seed0/prune.partial/checkpoint.npz").exists()
    run(DENSE, out)
    printed = capsys.readouterr().out
    assert printed.count("distill: finished before") == 2
    assert "settings (sparsity: 0.2 there, 0.8 asked for): begins again" in printed
    assert lasting(rows_of(out)) == lasting(rows_of(dense))
    with pytest.raises(ValueError, match="sparsity: 0.8 there, 0.2.*folder only prune"):
        run(dataclasses.replace(DENSE, stages=(*earlier, wrong)), out)
    with pytest.raises(ValueError, match="stages.prune: there, not asked for"):
        run(dataclasses.replace(DENSE, stages=tuple(earlier)), out)


def test_a_folder_of_images_that_changed_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(10):
            pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"photos/{name}/{i}.png")
    recipe = dataclasses.replace(
        DENSE,
        data=f"folder:{tmp_path}/photos",
        image_size=8,
        stages=(dataclasses.replace(DENSE.stages[0], exports=LITERT),),
    )
    run(recipe, tmp_path / "run")
    assert rows_of(tmp_path / "run")[0]["examples"] == 4
    shutil.copy(tmp_path / "photos/cat/0.png", tmp_path / "photos/cat/new.png")
    with pytest.raises(ValueError, match="the data have changed since.*choose another"):
        run(recipe, tmp_path / "run")


def test_a_cache_that_cannot_be_written_is_named_before_training(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMBECK_CACHE", "/proc/limbeck")  # read-only, for root as well
    with pytest.raises(OSError, match="in /proc/limbeck .*: set LIMBECK_CACHE"):
        run(DENSE, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_truncated_model_is_named(dense, tmp_path):
    out = tmp_path / "truncated"
    shutil.copytree(dense, out)
    for name in ("prune", "measure"):
        shutil.rmtree(out / "stages/seed0" / name)
    model = out / "stages/seed0/distill/model.keras"
    model.write_bytes(model.read_bytes()[:2000])
    with pytest.raises(
        ValueError, match="distill/model.keras is not what.*run that st"
    ):
        run(DENSE, out)
    # A run of an earlier version has no fingerprints: it is found when it is loaded.
    RunFolder(out).stage("distill", 0).fingerprints.unlink()
    with pytest.raises(
        ValueError, match="distill/model.keras is not a readable.*again"
    ):
        run(DENSE, out)
    assert not (out / "stages/seed0/prune").exists()


def test_two_processes_in_one_folder_are_refused(dense):
    with (
        alone(RunFolder(dense)),
        pytest.raises(BlockingIOError, match="another limbeck is running"),
    ):
        run(DENSE, dense)


@pytest.mark.slow
def test_killed_at_any_moment_the_same_command_goes_on(tmp_path):
    """SIGKILL at many moments; the rows equal those of a run that was left alone."""
    root = Path(__file__).resolve().parents[3]

    def command(out):
        return [
            *(sys.executable, "-m", "experiments.cli", "demo", "--smoke"),
            *("--data", "digits", "--image-size", "28", "--out", str(out)),
            *("--set", "teacher.net.name=alexnet_small"),
        ]

    subprocess.run(command(tmp_path / "whole"), check=True, cwd=root)
    rng = np.random.default_rng(0)
    kills = 0
    while True:
        process = subprocess.Popen(command(tmp_path / "cut"), cwd=root)
        try:
            process.wait(timeout=float(rng.uniform(8, 25)))
            break
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
            time.sleep(0.2)
    assert process.returncode == 0 and kills >= 1
    assert lasting(rows_of(tmp_path / "cut")) == lasting(rows_of(tmp_path / "whole"))
