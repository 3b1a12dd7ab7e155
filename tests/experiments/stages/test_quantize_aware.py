"""The stage that trains with fake quantization: what it writes, resumed, refused."""

import dataclasses
import shutil
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from compression.export import load
from compression.quantization import aware, is_quantized
from experiments.data import datasets
from experiments.data.pipeline import evaluation_batches, steps_per_epoch
from experiments.recipe import Recipe
from experiments.runs.layout import RunFolder
from experiments.runs.run import run
from experiments.stages.base import Export
from experiments.stages.net import Net
from experiments.stages.prune import Prune
from experiments.stages.quantize_aware import QuantizeAware
from experiments.stages.teaching import Teaching
from experiments.stages.train import Train
from experiments.training import progress
from experiments.training.settings import Training

pytestmark = pytest.mark.usefixtures("eagerly")

SHORT = Training(epochs=2, batch_size=250, learning_rate=2e-2)
DENSE = Train("dense", Net("mlp", {"widths": (24,)}), SHORT, exports=())
QAT = QuantizeAware("qat", "dense", SHORT)
TAUGHT = QuantizeAware(
    "taught", "dense", SHORT, Teaching("dense"), bits=4, method="lsq", exports=()
)
PRUNED = Prune("pruned", "dense", SHORT, sparsity=0.7, exports=())
KEPT = QuantizeAware("kept", "pruned", SHORT, keep_zeros=True, exports=())
RECIPE = Recipe(name="small", data="digits", stages=(DENSE, QAT, TAUGHT, PRUNED, KEPT))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return RunFolder(run(RECIPE, tmp_path_factory.mktemp("runs") / "whole"))


def weights(out, stage):
    return keras.models.load_model(out.stage(stage, 0).model).get_weights()


@pytest.mark.slow
def test_the_file_gives_the_models_labels(finished):
    home = finished.stage("qat", 0)
    model = keras.models.load_model(home.model)
    assert is_quantized(model)
    runner = load(home.exported("litert", "int8"))
    batches = evaluation_batches(datasets.load("digits"), "test")
    images = np.concatenate([np.asarray(images) for images, _ in batches])
    wanted, got = model.predict(images, verbose=0), runner(images)
    assert (wanted.argmax(-1) == got.argmax(-1)).mean() >= 0.995
    rows = {row["stage"]: row for row in finished.read_rows()}
    assert rows["qat"]["top1"] > 0.7


def test_learnt_steps_of_four_bits_with_a_teacher(finished):
    model = keras.models.load_model(finished.stage("taught", 0).model)
    layer = model.get_layer("logits")
    assert (layer.bits, layer.rounding) == (4, "steps")
    assert len(np.unique(layer.kernel_quantizer(layer.kernel))) <= 15


@pytest.mark.slow
def test_zeros_of_a_pruned_net_can_be_kept(finished):
    kernels = {
        stage: [w == 0 for w in weights(finished, stage) if w.ndim == 2]
        for stage in ("pruned", "kept")
    }
    for before, after in zip(kernels["pruned"], kernels["kept"], strict=True):
        assert before.mean() > 0.4
        np.testing.assert_array_equal(after & before, before)
    assert "its zeros kept" in KEPT.what and "zeros" not in QAT.what


@pytest.mark.parametrize(("freeze", "share"), [(0.5, 0.5), (1.0, None), (0.0, 0)])
def test_batch_norm_is_frozen_after_a_part_of_the_training(freeze, share, monkeypatch):
    asked = []
    monkeypatch.setattr(
        aware,
        "quantize_aware",
        lambda model, freeze_after, **_: asked.append(freeze_after) or model,
    )
    data = datasets.load("digits")
    model = Net("mlp", {"widths": (4,)}).built(data)
    job = SimpleNamespace(data=data, load=lambda _: model)
    dataclasses.replace(QAT, freeze=freeze).made(job)
    steps = SHORT.epochs * steps_per_epoch(data, SHORT.batch_size)
    assert asked == [None if share is None else share * steps]


def test_an_interrupted_stage_ends_like_a_whole_one(finished, tmp_path):
    out = RunFolder(shutil.copytree(finished.path, tmp_path / "cut"))
    shutil.rmtree(out.path / "stages/seed0/qat")
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
    for ours, whole in zip(weights(out, "qat"), weights(finished, "qat"), strict=True):
        np.testing.assert_array_equal(ours, whole)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bits": 16}, "bits must be 8 or 4, got 16"),
        ({"method": "luck"}, "no method called 'luck'; choose from moving_average"),
        ({"freeze": 1.5}, r"freeze must be in \[0, 1\], got 1.5"),
        ({"images": 0}, "images must be positive, got 0"),
        ({"rate": 0.0}, "rate must be positive, got 0.0"),
    ],
)
def test_settings_are_refused_when_the_stage_is_made(settings, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(QAT, **settings)


def test_what_cannot_be_quantized_is_known_before_training(tmp_path):
    twice = QuantizeAware("twice", "qat", SHORT)
    unknown = dataclasses.replace(QAT, skip=("fc9",))
    for stages, message in (
        ((DENSE, QAT, twice), "stage 'twice': 'mlp' is quantized already"),
        ((DENSE, unknown), "stage 'qat': skip: no layer is called 'fc9'"),
    ):
        with pytest.raises(ValueError, match=message):
            run(dataclasses.replace(RECIPE, stages=stages), tmp_path / "run")
    assert not list(tmp_path.rglob("*.keras"))


def test_it_says_what_it_is():
    assert QAT.exports == (Export("litert", "int8"),)
    assert TAUGHT.what == (
        "the dense net with weights of 4 bits, trained with their rounding, steps "
        "learnt, taught by the dense"
    )
