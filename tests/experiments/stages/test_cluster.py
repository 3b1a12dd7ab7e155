"""The stage whose net shares its weights: what it writes, resumed and refused."""

import dataclasses
import shutil

import keras
import numpy as np
import pytest

from experiments.overrides import replaced
from experiments.recipe import Recipe
from experiments.runs.layout import RunFolder
from experiments.runs.run import run
from experiments.stages.base import Export
from experiments.stages.cluster import Cluster
from experiments.stages.net import Net
from experiments.stages.prune import Prune
from experiments.stages.teaching import Teaching
from experiments.stages.train import Train
from experiments.training import progress
from experiments.training.settings import Training

pytestmark = pytest.mark.usefixtures("eagerly")

SHORT = Training(epochs=2, batch_size=600, learning_rate=3e-3)
DENSE = Train("dense", Net("mlp", {"widths": (16, 12)}), SHORT, exports=())
PRUNE = Prune("prune", "dense", SHORT, sparsity=0.5, scope="layer", exports=())
SHARED = Cluster(
    "shared",
    "prune",
    SHORT,
    clusters=4,
    begin=0.5,
    targets={"logits": 9},
    exports=(Export("litert"),),
)
AVERAGED = Cluster(
    "averaged",
    "dense",
    dataclasses.replace(SHORT, averaging="ema"),
    scope="global",
    rate=0.1,
    exports=(),
)
REASSIGNED = Cluster(
    "reassigned", "prune", SHORT, clusters=4, reassign=True, exports=()
)
RECIPE = Recipe(
    name="small", data="digits", stages=(DENSE, PRUNE, SHARED, AVERAGED, REASSIGNED)
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return RunFolder(run(RECIPE, tmp_path_factory.mktemp("runs") / "whole"))


def kernels(out, stage):
    model = keras.models.load_model(out.stage(stage, 0).model)
    return {w.path.split("/")[0]: np.asarray(w) for w in model.weights if w.ndim > 1}


def test_kernels_have_few_values_and_the_zeros_they_had(finished):
    pruned, found = kernels(finished, "prune"), kernels(finished, "shared")
    values = {name: len(np.unique(kernel)) for name, kernel in found.items()}
    assert values == {"fc1": 4, "fc2": 4, "logits": 9}
    for name, kernel in found.items():
        np.testing.assert_array_equal(kernel == 0, pruned[name] == 0)
    for name, kernel in kernels(finished, "reassigned").items():
        np.testing.assert_array_equal(kernel == 0, pruned[name] == 0)
        assert len(np.unique(kernel)) == 4
    together = np.concatenate(
        [k.ravel() for k in kernels(finished, "averaged").values()]
    )
    assert len(np.unique(together)) <= 16  # averaged weights that were validated, too


def test_the_row_and_the_history_say_so(finished):
    row = {row["stage"]: row for row in finished.read_rows()}["shared"]
    assert row["most_values"] == 9
    bits = finished.stage("shared", 0).read_history()["code_bits"]
    assert bits[0] == 32 and bits[1] == pytest.approx(row["value_bits"], abs=1e-3)
    assert row["best_epoch"] == 2  # the first one shares nothing
    declared = {fact["key"] for fact in SHARED.declaration()["facts"]}
    assert declared == {"most_values", "value_bits"} <= row.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["shared", "averaged", "reassigned"])
def test_an_interrupted_stage_ends_like_a_whole_one(finished, name, tmp_path):
    out = RunFolder(shutil.copytree(finished.path, tmp_path / "cut"))
    shutil.rmtree(out.path / f"stages/seed0/{name}")
    epochs = []

    def interrupt(self, epoch, logs=None):
        epochs.append(epoch)
        if len(epochs) == 2:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress.Progress, "on_epoch_end", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(RECIPE, out.path)
    run(RECIPE, out.path)
    expected = kernels(finished, name)
    for layer, kernel in kernels(out, name).items():
        np.testing.assert_array_equal(kernel, expected[layer])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clusters": 1}, "clusters must be 2 to 256, got 1"),
        ({"begin": 1.0}, r"begin must be in \[0, 1\), got 1.0"),
        ({"scope": "net"}, "no scope called 'net'; choose from layer, channel"),
        ({"rate": -1.0}, "rate must not be negative, got -1"),
        ({"rate": 0.1, "reassign": True}, "by distance alone, and rate=0.1 by bits"),
        ({"targets": {"fc1": 300}}, r"targets\['fc1'\] must be 2 to 256, got 300"),
    ],
)
def test_settings_are_refused_when_the_stage_is_made(settings, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SHARED, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"targets": {"fc9": 4}}, "stage 'shared': targets: .* called 'fc9'"),
        ({"exempt": ("*",), "targets": {}}, "'shared': the prune net has nothing to s"),
    ],
)
def test_what_cannot_be_shared_is_known_before_training(settings, message, tmp_path):
    stages = (DENSE, PRUNE, dataclasses.replace(SHARED, **settings))
    with pytest.raises(ValueError, match=message):
        run(dataclasses.replace(RECIPE, stages=stages), tmp_path / "run")
    assert not list(tmp_path.rglob("*.keras"))


def test_it_says_what_it_is_and_is_set_from_the_command_line():
    taught = dataclasses.replace(AVERAGED, teaching=Teaching("dense"))
    assert taught.what == (
        "the dense net with 16 values for the weights of all layers, still taught by "
        "the dense"
    )
    other = replaced(replaced(RECIPE, "shared.clusters=8"), "shared.begin=0")
    assert other.stages[2] == dataclasses.replace(SHARED, clusters=8, begin=0.0)
    with pytest.raises(ValueError, match="shared.clusters must be a whole number, got"):
        replaced(RECIPE, "shared.clusters=many")
