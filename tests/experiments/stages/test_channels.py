"""Channels go, the rest is trained on; interrupted, refused, and beside a teacher."""

import dataclasses
import shutil

import keras
import numpy as np
import pytest

from compression import measure, pruning
from experiments.data import load
from experiments.data.pipeline import evaluation_batches
from experiments.recipe import Recipe
from experiments.runs.layout import RunFolder
from experiments.runs.run import run
from experiments.stages.base import Export
from experiments.stages.channels import Channels
from experiments.stages.net import Net
from experiments.stages.sparse_channels import SparseChannels
from experiments.stages.teaching import Teaching
from experiments.stages.train import Train
from experiments.training import progress
from experiments.training.settings import Training

pytestmark = pytest.mark.usefixtures("eagerly")

LITERT = (Export("litert"),)
SHORT = Training(epochs=2, batch_size=600, learning_rate=3e-3)
LONGER = Training(epochs=2, batch_size=100, learning_rate=2e-2)
CUT = Channels(
    "channels", "teacher", SHORT, Teaching("teacher"), macs=0.5, exports=LITERT
)
REPAIRED = dataclasses.replace(
    CUT,
    name="repaired",
    training=dataclasses.replace(SHORT, epochs=1),
    teaching=None,
    recovery="reconstruct",
)
RECIPE = Recipe(
    name="small",
    data="digits",
    stages=(
        Train("teacher", Net("mlp", {"widths": (24, 16)}), LONGER, exports=()),
        CUT,
        REPAIRED,
        dataclasses.replace(REPAIRED, name="scratch", recovery=None, from_scratch=True),
    ),
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return RunFolder(run(RECIPE, tmp_path_factory.mktemp("runs") / "whole"))


def model(out, stage):
    return keras.models.load_model(out.stage(stage, 0).model)


def test_the_net_is_smaller_by_its_plan_and_is_measured(finished):
    whole, smaller = model(finished, "teacher"), model(finished, "channels")
    left = measure.macs(smaller) / measure.macs(whole)
    assert 0.45 < left <= 0.5
    plan = pruning.load_plan(finished.stage("channels", 0).plan)
    assert plan == CUT.plan(whole, load("digits"))
    planned = pruning.remove_channels(whole, plan)
    assert [w.shape for w in planned.weights] == [w.shape for w in smaller.weights]
    assert any((np.array(a) != b).any() for a, b in zip(
        planned.weights, smaller.get_weights(), strict=True))  # fmt: skip
    [row] = [row for row in finished.read_rows() if row["stage"] == "channels"]
    assert row["macs"] == measure.macs(smaller)
    assert row["what"] == (
        "the teacher net cut to 50% of its MACs by channels, still taught by the "
        "teacher"
    )


def test_a_repaired_net_begins_nearer_to_the_whole_one(finished):
    rows = {row["stage"]: row for row in finished.read_rows()}
    batches = list(evaluation_batches(load("digits"), "validation"))
    labels = np.concatenate([labels for _, labels in batches])
    whole = model(finished, "teacher")
    cut = pruning.remove_channels(whole, CUT.plan(whole, load("digits")))
    cut_top1 = measure.accuracy(measure.logits(cut, batches), labels)
    assert rows["channels"]["cut_top1"] == cut_top1
    assert rows["repaired"]["cut_top1"] > cut_top1 + 0.1
    assert rows["scratch"]["cut_top1"] < cut_top1 - 0.1
    assert rows["scratch"]["macs"] == rows["channels"]["macs"]


@pytest.mark.slow
def test_an_interrupted_stage_ends_like_a_whole_one(finished, tmp_path):
    out = RunFolder(shutil.copytree(finished.path, tmp_path / "cut"))
    shutil.rmtree(out.path / "stages/seed0/channels")

    def interrupt(self, epoch, logs=None):
        if (out.path / "stages/seed0/channels.partial").exists():
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress.Progress, "on_epoch_end", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(RECIPE, out.path)
    run(RECIPE, out.path)
    for one, other in zip(
        model(out, "channels").get_weights(),
        model(finished, "channels").get_weights(),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"macs": None}, "needs a budget"),
        ({"macs": 2.0}, r"macs is what is left, in \(0, 1\], got 2.0"),
        ({"scope": "net"}, "no scope called 'net'"),
        ({"saliency": "luck"}, "no saliency called 'luck'"),
        ({"images": 0}, "images must be 1 or more, got 0"),
        ({"latency": 0.0}, r"latency is what is left, in \(0, 1\], got 0.0"),
        ({"round_to": 0}, "round_to must be 1 or more"),
        ({"recovery": "prayer"}, "no recovery called 'prayer'"),
        ({"recovery": "batch_norm", "from_scratch": True}, "leaves nothing for"),
        ({"floor": -1}, r"floor must be in \[0, 1\]"),
    ],
)
def test_settings_are_refused_when_the_stage_is_made(settings, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CUT, **settings)


@pytest.mark.parametrize("saliency", ["fisher", "hrank"])
def test_train_images_may_rank_the_channels(finished, saliency):
    data, whole = load("digits"), model(finished, "teacher")
    stage = dataclasses.replace(CUT, saliency=saliency, images=100)
    images = data.train.images[:100].astype("float32")
    images = (images / 255 - data.mean) / data.std
    expected = pruning.plan_channels(
        whole, macs=0.5, saliency=saliency, data=[(images, data.train.labels[:100])]
    )
    got = stage.plan(whole, data)
    assert got.kept == expected.kept != CUT.plan(whole, data).kept


def test_a_check_measures_nothing(finished, monkeypatch):
    """Nothing is exported or timed: a net about as small stands in."""
    whole = model(finished, "teacher")
    monkeypatch.setattr("compression.export.litert", None)
    stage = dataclasses.replace(
        CUT, macs=None, latency=0.5, bytes=0.6, saliency="wanda"
    )
    left = measure.macs(stage.prepared(whole)) / measure.macs(whole)
    assert 0.4 < left <= 0.5
    assert stage.what.startswith(
        "the teacher net cut to 60% of its bytes and 50% of its time by channels"
    )


def test_channels_are_shrunk_before_they_go(tmp_path):
    net = Net("mlp", {"widths": (24, 16)})
    sparse = SparseChannels("sparse", net, SHORT, strength=20.0, exports=())
    cut = Channels("cut", "sparse", SHORT, macs=0.4, exports=())
    recipe = dataclasses.replace(RECIPE, stages=(sparse, cut))
    out = RunFolder(run(recipe, tmp_path / "run"))
    whole = model(out, "sparse")
    [first, *_] = [w for w in whole.weights if w.name == "kernel"]
    norms = np.linalg.norm(np.array(first), axis=0)
    assert norms.min() < 0.1 * norms.max()
    assert sparse.what == (
        "mlp with sparse channels (group_lasso), trained on the labels"
    )
    with pytest.raises(ValueError, match="no penalty called 'l1'; choose from group_"):
        dataclasses.replace(sparse, penalty="l1")
    with pytest.raises(ValueError, match="strength must be positive, got 0"):
        dataclasses.replace(sparse, strength=0)


def test_a_net_that_cannot_be_cut_so_far_is_refused_before_any_training(tmp_path):
    for stage, message in (
        (dataclasses.replace(CUT, macs=0.001), "stage 'channels': macs=0.001 cannot"),
        (dataclasses.replace(CUT, exempt=("conv9",)), "is called 'conv9'"),
    ):
        with pytest.raises(ValueError, match=message):
            run(dataclasses.replace(RECIPE, stages=(RECIPE.stages[0], stage)), tmp_path)
    assert not list(tmp_path.rglob("*.keras"))
