"""The stage that rounds for few bits: its bound, its archive, what its row says."""

from types import SimpleNamespace

import numpy as np
import pytest

from compression import export
from compression.export import load_archive, load_model
from experiments.data import load
from experiments.recipe import Recipe
from experiments.report import folder
from experiments.report.tables import stage_table
from experiments.runs.layout import RunFolder
from experiments.runs.run import run
from experiments.stages.base import Export
from experiments.stages.net import Net
from experiments.stages.rate_distortion import RateDistortion
from experiments.stages.train import Train
from experiments.training.settings import Training

pytestmark = pytest.mark.usefixtures("eagerly")

DENSE = Train(
    "dense",
    Net("mlp", {"widths": (24,)}),
    Training(epochs=3, batch_size=128, learning_rate=3e-3),
    exports=(Export("litert"),),
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    few = RateDistortion("few", "dense", max_drop=2.0)
    recipe = Recipe("small", "digits", (DENSE, few))
    return RunFolder(run(recipe, tmp_path_factory.mktemp("runs") / "whole"))


@pytest.mark.slow
def test_the_bound_is_held_and_the_row_says_so(finished):
    row = finished.stage("few", 0).read_about()
    before = finished.stage("dense", 0).read_about()["validation_top1"]
    assert row["validation_drop"] <= 2.0
    assert row["validation_top1"] == pytest.approx(
        before - row["validation_drop"] / 100, abs=1e-6
    )


def test_the_archive_holds_the_rounded_net(finished):
    home = finished.stage("few", 0)
    archive = home.exported("archive", "float32")
    for one, other in zip(
        load_archive(archive).weights, load_model(home.model).weights, strict=True
    ):
        np.testing.assert_array_equal(one, other)
    dense = finished.stage("dense", 0).exported("litert", "float32")
    assert archive.stat().st_size < dense.stat().st_size / 8
    kernel = np.asarray(load_model(home.model).layers[-1].kernel)
    step = np.abs(kernel[kernel != 0]).min()
    np.testing.assert_allclose(kernel / step, np.rint(kernel / step), atol=1e-3)


def test_its_bytes_are_a_column_of_the_report(finished):
    found = folder.read(finished.path)
    [before, after] = found.summaries
    assert before.mean("bytes_encoded") is None
    archive = finished.stage("few", 0).exported("archive", "float32")
    assert after.mean("bytes_encoded") == archive.stat().st_size
    heads = [column.heading for column in stage_table(found.summaries, None).columns]
    assert "archive" in heads
    heads = [column.heading for column in stage_table([before], None).columns]
    assert "archive" not in heads


def test_as_many_images_are_asked_as_it_says(finished, monkeypatch):
    asked = []

    def coarsen(model, data, **options):
        asked.append(sum(len(labels) for _, labels in data))
        raise InterruptedError

    monkeypatch.setattr(export, "coarsen", coarsen)
    fewer = RateDistortion("fewer", "dense", max_drop=2.0, images=50)
    dense = load_model(finished.stage("dense", 0).model)
    job = SimpleNamespace(data=load("digits"), load=lambda name: dense)
    with pytest.raises(InterruptedError):
        fewer.run(job)
    assert asked == [50]
    with pytest.raises(ValueError, match="images must be positive, got 0"):
        RateDistortion("few", "dense", images=0)


@pytest.mark.parametrize("max_drop", [-1, 100, float("nan")])
def test_bounds_that_are_none(max_drop):
    with pytest.raises(ValueError, match="max_drop must be"):
        RateDistortion("few", "dense", max_drop=max_drop)
