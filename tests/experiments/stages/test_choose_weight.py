"""How much losses weigh is chosen on validation, and later stages take it."""

from dataclasses import replace

import numpy as np
import pytest

from compression import export
from experiments.recipe import Recipe
from experiments.runs.layout import RunFolder
from experiments.runs.run import run as run_recipe
from experiments.stages import fitting
from experiments.stages.base import Export
from experiments.stages.choose_weight import ChooseWeight
from experiments.stages.distill import Distill
from experiments.stages.net import Net
from experiments.stages.teaching import Teaching
from experiments.stages.train import Train
from experiments.training.settings import Training

pytestmark = pytest.mark.usefixtures("eagerly")

FILES = (Export("saved_model"),)
SHORT = Training(epochs=1, batch_size=512, learning_rate=3e-3)
SMALL = Net("mlp", {"widths": (8,), "dropout": 0.2})
HINTS = {"Hints": {"teacher": "fc1", "student": "fc1", "weight": 3.0}}
TEACHING = Teaching("teacher", soft_weight=0.5, label_weight=1.0, views=1, parts=HINTS)
CHOICE = ChooseWeight("weight", SMALL, SHORT, TEACHING, trials=3, span=50.0)
TEACHER = Train(
    "teacher", Net("mlp", {"widths": (16,)}), SHORT, exports=FILES, once=True
)


def student(name, teaching):
    return Distill(name, SMALL, SHORT, teaching, exports=FILES)


def recipe(factor):
    """The choice, who takes it, and the same with the weights written down."""
    return Recipe(
        "choice",
        "digits",
        (
            TEACHER,
            CHOICE,
            student("taken", replace(TEACHING, weighed_by="weight")),
            student("written", TEACHING.weighed(factor)),
        ),
    )


def chosen(folder):
    return RunFolder(folder).stage("weight", 0, once=True).read_about()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMBECK_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_the_best_on_validation_is_chosen_and_taken(cache):
    out = run_recipe(recipe(1.0), cache / "first", stages=["teacher", "weight"])
    about = chosen(out)
    tried = about["weights_tried"]
    assert len(tried) == 3 and tried[0][0] == 1.0
    assert len({factor for factor, _ in tried}) == 3
    assert all(1 / 50 <= factor <= 50 for factor, _ in tried)
    best, top1 = max(tried, key=lambda each: each[1])
    assert about["weight_factor"] == best and about["validation_top1"] == top1
    out = run_recipe(recipe(best), cache / "second", seeds=(1,))
    assert chosen(out)["weights_tried"] == tried
    [row] = [row for row in RunFolder(out).read_rows() if row["stage"] == "taken"]
    assert row["weight_factor"] == best
    taken, written = (
        export.load(RunFolder(out).stage(name, 1).model).model.get_weights()
        for name in ("taken", "written")
    )
    assert all(map(np.array_equal, taken, written))


@pytest.mark.slow
def test_a_killed_choice_goes_on_with_the_same_numbers(cache, monkeypatch):
    stages = ["teacher", "weight"]
    whole = chosen(run_recipe(recipe(1.0), cache / "whole", stages=stages))
    with monkeypatch.context() as patch:
        patch.setattr(fitting, "fit", _killed_in(fitting.fit, 2))
        with pytest.raises(KeyboardInterrupt):
            run_recipe(recipe(1.0), cache / "killed", stages=stages)
    again = chosen(run_recipe(recipe(1.0), cache / "killed", stages=stages))
    assert again["weights_tried"] == whole["weights_tried"]
    models = [
        export.load(RunFolder(cache / name).stage("weight", 0, once=True).model).model
        for name in ("whole", "killed")
    ]
    assert all(map(np.array_equal, *(model.get_weights() for model in models)))


def _killed_in(fit, number):
    calls = []

    def fitted(stage, *arguments):
        if stage.name == "weight":
            calls.append(stage)
        if len(calls) > number:
            raise KeyboardInterrupt
        return fit(stage, *arguments)

    return fitted


@pytest.mark.parametrize("all_do", [False, True])
def test_weights_with_which_training_diverges_are_the_worst(cache, monkeypatch, all_do):
    fit = fitting.fit

    def fitted(stage, *arguments):
        if stage.name == "weight" and (all_do or stage.teaching != TEACHING):
            raise FloatingPointError("the loss became NaN in epoch 1")
        return fit(stage, *arguments)

    monkeypatch.setattr(fitting, "fit", fitted)
    made = recipe(1.0), cache / "run"
    if all_do:
        with pytest.raises(FloatingPointError, match="with each of 3 weights"):
            run_recipe(*made, stages=["teacher", "weight"])
        return
    about = chosen(run_recipe(*made, stages=["teacher", "weight"]))
    assert about["weight_factor"] == 1.0
    assert [top1 for _, top1 in about["weights_tried"][1:]] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"trials": 0}, "trials must be at least 1, got 0"),
        ({"span": 1.0}, "span must be above 1, got 1.0"),
        ({"span": float("inf")}, "span must be a finite number, got inf"),
        ({"trial_seed": -1}, "trial_seed must not be negative, got -1"),
        ({"teaching": None}, "who teaches"),
        ({"teaching": replace(TEACHING, weighed_by="x")}, "chooses weights itself"),
        ({"teaching": Teaching("t", soft_weight=0.0)}, "nothing to weigh"),
        ({"teaching": TEACHING.weighed(0.0)}, "nothing to weigh"),
    ],
)
def test_bad_settings_are_refused(settings, problem):
    with pytest.raises(ValueError, match=problem):
        replace(CHOICE, **settings)


def test_a_smoke_run_tries_two_weights():
    short = replace(CHOICE, trials=8).shortened(1)
    assert (short.trials, short.training.epochs, short.weighs) == (2, 1, True)


def test_only_a_choice_gives_weights():
    taught = student("taken", replace(TEACHING, weighed_by="teacher"))
    before = student("taken", replace(TEACHING, weighed_by="weight"))
    with pytest.raises(ValueError, match="'taken': .* must name a ChooseWeight stage"):
        Recipe("r", "digits", (TEACHER, taught))
    with pytest.raises(ValueError, match="needs 'weight', which no earlier"):
        Recipe("r", "digits", (TEACHER, before))


def test_all_losses_but_the_labels_are_weighed():
    parts = {"AttentionTransfer": {"teacher": "fc1", "student": "fc1"}}
    teaching = Teaching("t", soft_weight=0.5, label_weight=0.3, parts=HINTS | parts)
    weighed = teaching.weighed(4.0)
    assert weighed.label_weight == 0.3
    assert [loss.weight for loss in weighed.losses(1)] == [2.0, 12.0, 4.0]
    assert teaching.weighed(1.0).losses(1)[1].weight == 3.0
