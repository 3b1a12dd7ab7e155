"""Every kind of stage: what it declares, and settings that are refused at once."""

import keras
import pytest

from compression import quantization
from experiments.data import load
from experiments.recipe import Recipe
from experiments.runs.run import run
from experiments.stages.base import Export
from experiments.stages.channels import Channels
from experiments.stages.correct_bias import CorrectBias
from experiments.stages.distill import Distill
from experiments.stages.mixed_precision import MixedPrecision
from experiments.stages.net import Net
from experiments.stages.prune import Prune
from experiments.stages.quantize import Quantize
from experiments.stages.rigl import RigL
from experiments.stages.teaching import Teaching
from experiments.stages.train import Train
from experiments.stages.training_stage import TrainingStage
from experiments.training.settings import Training

LONG = Training(epochs=10)
TEACHING = Teaching("teacher")
NET = Net("mlp", {"widths": (8,)})


@pytest.mark.parametrize(
    ("stage", "start", "teacher", "what"),
    [
        (Train("a", NET, LONG), None, None, "mlp trained on the labels"),
        (
            Train("a", Net("resnet20", weights="published"), LONG),
            *(None, None, "resnet20 from published weights, tuned on the labels"),
        ),
        (Train("a", "b", LONG), "b", None, "the b net tuned on the labels"),
        (
            Distill("a", NET, LONG, TEACHING, classes=(7, 8)),
            *(None, "teacher", "mlp taught by the teacher on images of classes 7, 8"),
        ),
        (
            Prune("a", "b", LONG, TEACHING, sparsity=0.9),
            *("b", "teacher", "the b net pruned to 90% zeros, still taught by the te"),
        ),
        (
            Prune("a", "b", LONG, sparsity=0.5, pattern="2:4"),
            *("b", None, "the b net pruned to 50% zeros in a pattern, 2:4, trained on"),
        ),
        (
            Channels("a", "b", LONG, macs=0.5, parameters=0.25),
            *("b", None, "the b net cut to 50% of its MACs and 25% of its parameters "),
        ),
        (Quantize("a", "b"), "b", None, "the b net in 8-bit integers, calibrated on"),
        (
            CorrectBias("a", "b", (3,)),
            *("b", None, "the b net, its output biases of class 3 shifted as suits"),
        ),
    ],
)
def test_declarations(stage, start, teacher, what):
    declared = stage.declaration()
    assert (declared["start"], declared["teacher"]) == (start, teacher)
    assert declared["what"].startswith(what)
    assert stage.inputs == tuple(name for name in (start, teacher) if name)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: Distill("a", NET, LONG), "a: who teaches"),
        (lambda: Prune("a", "b", LONG, sparsity=80), r"sparsity .*\[0, 1\), got 80"),
        (lambda: Prune("a", "b", LONG, scope="net"), "no scope called 'net'; choose"),
        (lambda: Prune("a", "b", LONG, pattern="2:4"), "let it end at 0.5, or choose"),
        (lambda: Prune("a", "b", LONG, until=2), r"until must be in \[0, 1\], got 2"),
        (lambda: Prune("a", "b", LONG, until="x"), "stage 'a': until must be a finite"),
        (lambda: RigL("a", "b", LONG, every=2.5), "stage 'a': every must be a whole"),
        (lambda: Quantize("a", "b", calibration=0), "calibration must be positive"),
        (lambda: Quantize("a", "b", adaround=True), "stage 'a': adaround must be a w"),
        (lambda: Export("onnx"), "no format of exports called 'onnx'; choose from li"),
        (lambda: Export("litert", "int9"), "no precision of exports called 'int9'; c"),
    ],
)
def test_bad_settings_are_refused_when_the_stage_is_made(make, problem):
    with pytest.raises(ValueError, match=problem):
        make()


def test_files_that_nothing_calibrates_are_refused_before_training(tmp_path):
    stages = (Train("net", NET, LONG, exports=(Export("litert", "int8"),)),)
    with pytest.raises(ValueError, match="stage 'net': nothing calibrates its int8 f"):
        run(Recipe("int8", "digits", stages), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("stage", "problem"),
    [
        (MixedPrecision("a", "b"), "stage 'a': 'qat' is quantized already"),
        (Quantize("a", "b", method="kl"), "stage 'a': 'qat' is quantized already"),
        (CorrectBias("a", "b", (3,)), "stage 'a': .* must end in a linear dense layer"),
    ],
)
def test_nets_that_do_not_suit_are_refused_before_training(stage, problem):
    image = keras.Input((8, 8, 1))
    outputs = keras.layers.Dense(10, name="last")(keras.layers.Flatten()(image))
    net = quantization.quantize_aware(keras.Model(image, outputs, name="qat"))
    with pytest.raises(ValueError, match=problem):
        stage.check(load("digits"), {"b": net})


def test_layers_to_compare_are_looked_for_before_anything_is_trained(tmp_path):
    hints = {"Hints": {"teacher": "fc1", "student": "fc2"}}
    recipe = Recipe(
        "hints",
        "digits",
        (
            Train("teacher", Net("mlp", {"widths": (8,)}), LONG),
            Distill("student", NET, LONG, Teaching("teacher", parts=hints)),
        ),
    )
    with pytest.raises(ValueError, match="no layer or stage called 'fc2'; choose from"):
        run(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("epochs", "steps"), [(1, 7), (2, 1), (3, 10), (20, 54)])
def test_the_final_sparsity_comes_before_the_epochs_that_count(epochs, steps):
    stage = Prune("a", "b", Training(epochs=epochs), sparsity=0.8)
    [callback] = stage.callbacks(steps)
    first = stage.best_from(steps)
    assert callback.schedule(max(first, 1) * steps) == 0.8
    assert first <= max(1, epochs - 1) or epochs == 1


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"exempt": ("conv1",)}, "exempt: no layer with a kernel is called 'conv1'"),
        ({"exempt": ("*",)}, "stage 'small': the first net has nothing to prune"),
        ({"pattern": "block(4, 16)"}, r"kernel is 64 x 8, inputs x outputs: smaller"),
    ],
)
def test_what_cannot_be_pruned_is_known_before_anything_is_trained(options, problem):
    data = load("digits")
    stage = Prune("small", "first", LONG, **options)
    with pytest.raises(ValueError, match=problem):
        stage.check(data, {"first": NET.built(data)})


def test_a_new_kind_of_stage_is_a_few_lines(tmp_path):
    """It holds weights meanwhile, or changes the graph first, and no more is needed."""

    class Halves(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            for kernel in (w for w in self.model.weights if w.name == "kernel"):
                kernel.assign(kernel * 0 + 0.5)

    class Cut(TrainingStage):
        what = "a net cut before its last layer"

        def callbacks(self, steps):
            return [Halves()]

        def prepared(self, model):
            answer = keras.layers.Dense(10, name="new")(model.layers[-1].input)
            return keras.Model(model.inputs[0], answer, name="cut")

    stages = (
        Train("first", NET, Training(epochs=1), exports=(Export("litert"),)),
        Cut("second", "first", Training(epochs=1, keep="last"), exports=()),
    )
    data = load("digits")
    models = {}
    for stage in stages:
        models[stage.name] = stage.check(data, models)
    assert models["second"].layers[-1].name == "new"
