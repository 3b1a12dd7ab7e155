"""The stages that tfmot trains: what they write, and what is refused."""

import dataclasses
from importlib.util import find_spec

import keras
import numpy as np
import pytest

from compression.export import load
from experiments.data import datasets
from experiments.data.pipeline import evaluation_batches
from experiments.overrides import replaced
from experiments.recipe import Recipe
from experiments.runs.layout import RunFolder
from experiments.runs.run import run
from experiments.stages.base import Export
from experiments.stages.net import Net
from experiments.stages.teaching import Teaching
from experiments.stages.tfmot import TfmotCluster, TfmotPrune, TfmotQuantize
from experiments.stages.train import Train
from experiments.training.settings import Training

pytestmark = [
    pytest.mark.usefixtures("eagerly"),
    pytest.mark.skipif(
        find_spec("tensorflow_model_optimization") is None,
        reason="tensorflow-model-optimization is not installed",
    ),
]

SHORT = Training(epochs=2, batch_size=400, learning_rate=1e-2, weight_decay=1e-4)
DENSE = Train("dense", Net("mlp", {"widths": (24,)}), SHORT, exports=())
INT8 = (Export("litert", "int8"),)
PRUNE = TfmotPrune("prune", "dense", SHORT, sparsity=0.5, exports=INT8)
SHARED = TfmotCluster(
    "shared",
    "prune",
    SHORT,
    clusters=8,
    exports=(),
)
QAT = TfmotQuantize("qat", "shared", SHORT)
RECIPE = Recipe(name="small", data="digits", stages=(DENSE, PRUNE, SHARED, QAT))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return RunFolder(run(RECIPE, tmp_path_factory.mktemp("runs") / "whole"))


def kernels(out, stage):
    model = keras.models.load_model(out.stage(stage, 0).model)
    return [np.asarray(w) for w in model.weights if w.name == "kernel"]


def int8_kernels(path, shapes):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    there = [d for d in interpreter.get_tensor_details() if d["dtype"] == np.int8]
    found = [d for d in there if tuple(d["shape"]) in shapes]
    return [interpreter.get_tensor(d["index"]) for d in found]


@pytest.mark.slow
def test_zeros_and_shared_values_stay_to_the_last_file(finished):
    pruned, shared = kernels(finished, "prune"), kernels(finished, "shared")
    for kernel, after in zip(pruned, shared, strict=True):
        assert (kernel == 0).mean() == pytest.approx(0.5, abs=0.01)
        assert (after[kernel == 0] == 0).all()
        assert len(np.unique(after)) <= 8
    shapes = {kernel.T.shape for kernel in shared}
    codes = int8_kernels(finished.stage("qat", 0).exported("litert", "int8"), shapes)
    assert len(codes) == len(shared)
    for each in codes:
        assert (each == 0).mean() > 0.45
        assert len(np.unique(each)) <= 8


@pytest.mark.parametrize(
    ("kept", "weights"),
    [
        ((False, False), lambda draw: draw.normal(size=(8, 8))),
        ((True, False), lambda draw: np.maximum(draw.normal(size=(8, 8)), 0)),
        ((False, True), lambda draw: draw.integers(1, 9, size=(8, 8))),
        ((True, True), lambda draw: draw.integers(0, 8, size=(8, 8))),
    ],
)
def test_zeros_and_shared_values_are_found(kept, weights):
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8)])
    model.layers[0].kernel.assign(weights(np.random.default_rng(0)))
    names = ("preserve_zeros", "preserve_clusters")
    found = QAT.engine(model, 1, None).keywords
    assert tuple(found[name] for name in names) == kept
    asked = dict(zip(names, (True, False), strict=True))
    found = dataclasses.replace(QAT, **asked).engine(model, 1, None).keywords
    assert asked.items() <= found.items()


def test_the_int8_files_give_the_models_labels(finished):
    batches = evaluation_batches(datasets.load("digits"), "test")
    images, labels = map(np.concatenate, zip(*batches.as_numpy_iterator(), strict=True))
    rows = {row["stage"]: row for row in finished.read_rows()}
    assert set(rows) == {"prune", "qat"}
    for stage in rows:
        home = finished.stage(stage, 0)
        got = load(home.exported("litert", "int8"))(images).argmax(-1)
        assert rows[stage]["top1"] == pytest.approx((got == labels).mean(), abs=1e-6)
        wanted = keras.models.load_model(home.model).predict(images, verbose=0)
        assert (got == wanted.argmax(-1)).mean() > 0.95


def test_the_best_epoch_is_kept_and_logged(finished):
    home = finished.stage("prune", 0)
    history, row = home.read_history(), home.read_about()
    assert history["epoch"] == [1, 2]
    assert row["best_epoch"] == 2  # the first is not as sparse as asked
    assert row["validation_top1"] == history["val_accuracy"][1]
    model = keras.models.load_model(home.model)
    batches = evaluation_batches(datasets.load("digits"), "validation")
    images, labels = map(np.concatenate, zip(*batches.as_numpy_iterator(), strict=True))
    right = model.predict(images, verbose=0).argmax(-1) == labels
    assert right.mean() == pytest.approx(row["validation_top1"], abs=1e-6)
    assert finished.stage("shared", 0).read_about()["most_values"] == 8


@pytest.mark.parametrize(
    ("stage", "settings", "message"),
    [
        (PRUNE, {"teaching": Teaching("dense")}, "on the labels alone: leave teaching"),
        (PRUNE, {"sparsity": 1.0}, r"must be in \[0, 1\)|below 1"),
        (PRUNE, {"until": 1.5}, r"until must be in \[0, 1\], got 1.5"),
        (PRUNE, {"pattern": "kernel"}, "no pattern 'kernel'"),
        (PRUNE, {"pooling": "sum"}, "no pooling called 'sum'"),
        (SHARED, {"clusters": 2, "preserve_zeros": True}, "at least 3 where zeros"),
        (SHARED, {"gradient": "max"}, "no gradient called 'max'"),
        (QAT, {"exports": ()}, "is the int8 file: export it"),
        (QAT, {"training": Training(1, averaging="ema")}, "no averaging='ema': choose"),
        (QAT, {"training": Training(1, optimizer="lamb")}, "no optimizer='lamb'"),
        (QAT, {"training": Training(1, patience=3)}, "no patience=3"),
    ],
)
def test_settings_are_refused_when_the_stage_is_made(stage, settings, message):
    with pytest.raises(ValueError, match=f"{stage.name}.*({message})"):
        dataclasses.replace(stage, **settings)


@pytest.mark.parametrize(
    ("stage", "settings", "message"),
    [
        (PRUNE, {"exempt": ("fc9",)}, "stage 'prune': exempt: .* called 'fc9'"),
        (QAT, {"exempt": ("fc9",), "start": "dense"}, "stage 'qat': .* called 'fc9'"),
        (PRUNE, {"exempt": ("*",)}, "stage 'prune': 'mlp' has no layer with a kernel"),
    ],
)
def test_what_tfmot_does_not_take_is_known_before_training(
    stage, settings, message, tmp_path
):
    stages = (DENSE, dataclasses.replace(stage, **settings))
    with pytest.raises(ValueError, match=message):
        run(dataclasses.replace(RECIPE, stages=stages), tmp_path / "run")
    assert not list(tmp_path.rglob("*.keras"))


def test_a_loss_that_is_no_number_stops_the_training(tmp_path):
    wild = dataclasses.replace(SHORT, optimizer="sgd", learning_rate=1e30)
    stages = (DENSE, dataclasses.replace(PRUNE, training=wild))
    with pytest.raises(FloatingPointError, match="the loss became nan in epoch"):
        run(dataclasses.replace(RECIPE, stages=stages), tmp_path / "run")


def test_they_say_what_they_are_and_are_set_from_the_command_line():
    assert (
        PRUNE.what
        == "the dense net pruned to 50% zeros by tfmot, trained on the labels"
    )
    assert SHARED.what == (
        "the prune net with 8 values for the weights of a layer by tfmot, trained on "
        "the labels"
    )
    both = {"preserve_zeros": True, "preserve_clusters": True}
    assert dataclasses.replace(QAT, **both).what == (
        "the shared net trained with the rounding of 8 bits by tfmot, its zeros and "
        "shared values kept, on the labels"
    )
    assert TfmotPrune("p", "dense", SHORT).exports == (Export("litert"), *INT8)
    other = replaced(replaced(RECIPE, "shared.clusters=4"), "prune.sparsity=0.7")
    assert other.stages[1:3] == (
        dataclasses.replace(PRUNE, sparsity=0.7),
        dataclasses.replace(SHARED, clusters=4),
    )
