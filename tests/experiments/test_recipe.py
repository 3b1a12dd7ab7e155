"""Recipes: what they refuse, and how the command line changes a field."""

import json

import pytest

from experiments import recipes
from experiments.data.augment import Augment
from experiments.overrides import all_replaced, replaced, smoke
from experiments.recipe import Recipe
from experiments.recipes.demo import recipe as demo
from experiments.stages.distill import Distill
from experiments.stages.net import Net
from experiments.stages.teaching import Teaching
from experiments.stages.train import Train
from experiments.stages.training_stage import TrainingStage
from experiments.training.settings import Training

TEACHER = Train("teacher", Net("resnet20"), Training(epochs=2))
STUDENT = Distill(
    "distill", Net("alexnet_small"), Training(epochs=2), Teaching("teacher")
)


def test_every_recipe_is_json():
    for recipe in (recipes.recipe_module(n).RECIPE for n in recipes.EXPERIMENTS):
        plain = recipe.as_dict()
        assert json.loads(json.dumps(plain)) == plain
        assert [s["name"] for s in plain["stages"]] == [s.name for s in recipe.stages]


def test_the_demo_has_the_stages_that_its_users_know():
    assert [stage.name for stage in demo.RECIPE.stages] == [
        *("teacher", "student", "distill", "prune", "archive", "channels", "int8")
    ]


def test_smoke_changes_only_lengths():
    small_recipe = smoke(demo.RECIPE)
    for small, full in zip(small_recipe.stages, demo.RECIPE.stages, strict=True):
        assert type(small) is type(full) and small.inputs == full.inputs
        if isinstance(full, TrainingStage):
            assert small.training.epochs <= 3
            assert small.training.optimizer == full.training.optimizer


def test_stages_need_what_comes_before():
    with pytest.raises(ValueError, match="'distill' needs 'teacher', which no earlier"):
        Recipe("r", "digits", (STUDENT, TEACHER))
    with pytest.raises(ValueError, match="two stages are called 'teacher'"):
        Recipe("r", "digits", (TEACHER, TEACHER))
    with pytest.raises(ValueError, match="no stage called 'x'; choose from teacher"):
        Recipe("r", "digits", (TEACHER,)).stage("x")


@pytest.mark.parametrize(
    "name", ["../../x", "a/b", "", ".", " a", "measure", "a.partial", "a:b", "a,b"]
)
def test_a_stage_lies_in_a_folder_of_the_run(name):
    with pytest.raises(ValueError, match="a stage's name is that of a folder"):
        replaced(Recipe("r", "digits", (TEACHER,)), f"teacher.name={name!r}")
    assert Train("größer 0.5_b", Net("resnet20"), Training(epochs=2)).name


def test_replaced_reaches_every_kind_of_field():
    recipe = Recipe("r", "digits", (TEACHER, STUDENT))
    for assignment in (
        "teacher.training.epochs=7",
        "teacher.training.learning_rate=1",
        "teacher.training.clip_norm=0.5",
        "distill.start.options.width=0.25",
        "distill.start.options.dropout=0.5",
        "distill.teaching.views=None",
        "teacher.training.warmup_epochs=0.5",
        "teacher.training.drops=(0.25, 1)",
        "teacher.training.jit_compile=measure",
        "distill.training.jit_compile=true",
        "distill.training.clip_norm=none",
        "distill.classes=[1, 3]",
        "augment.pad=3",
        "augment.flip=false",
        "augment.mixup=0.2",
        "augment.cutmix=1",
        "augment.cutout=8",
        "augment.rand_augment=(2, 9)",
        "distill.training.sampling=balanced",
        "teacher.training.class_weights=balanced",
        "image_size=32",
        "data=cifar10",
    ):
        recipe = replaced(recipe, assignment)
    teacher, distill = recipe.stages
    assert teacher.training == Training(
        epochs=7,
        learning_rate=1.0,
        clip_norm=0.5,
        warmup_epochs=0.5,
        drops=(0.25, 1.0),
        jit_compile="measure",
        class_weights="balanced",
    )
    assert distill.training == Training(epochs=2, jit_compile=True, sampling="balanced")
    assert distill.classes == (1, 3)
    assert recipe.augment == Augment(
        pad=3, flip=False, mixup=0.2, cutmix=1.0, cutout=8, rand_augment=(2, 9)
    )
    assert replaced(recipe, "augment.rand_augment=none").augment.rand_augment is None
    assert recipe.augment.flip is False and recipe.image_size == 32
    assert type(teacher.training.learning_rate) is float
    assert distill.start.options == {"width": 0.25, "dropout": 0.5}
    assert distill.teaching.views is None
    assert (recipe.augment.pad, recipe.data) == (3, "cifar10")
    assert STUDENT.start.options == {}  # nothing changed in place


def test_none_is_no_text():
    training = Training(epochs=2, sampling="balanced", averaging="ema")
    recipe = Recipe("r", "digits", (Train("train", Net("resnet20"), training),))
    for assignment in ("train.training.sampling=none", "train.training.averaging=None"):
        recipe = replaced(recipe, assignment)
    assert recipe.stage("train").training == Training(epochs=2)


def test_several_are_changed_in_any_order():
    """A plateau has no warm-up: either must wait for the other."""
    start = Training(epochs=2, warmup_epochs=1)
    recipe = Recipe("r", "digits", (Train("train", Net("resnet20"), start),))
    two = ["train.training.schedule=plateau", "train.training.warmup_epochs=0"]
    expected = Training(epochs=2, schedule="plateau")
    for assignments in (two, two[::-1]):
        found = all_replaced(recipe, assignments)
        assert found.stage("train").training == expected
    assert all_replaced(recipe, ["data=a", "data=b"]).data == "b"
    assert all_replaced(recipe, []) == recipe
    with pytest.raises(ValueError, match="plateau.* has no warm-up"):
        all_replaced(recipe, [two[0], "image_size=8"])


def test_commands_of_earlier_versions_name_the_same_settings():
    recipe = Recipe("r", "digits", (TEACHER, STUDENT))
    changed = replaced(recipe, "teacher.net.name=resnet32")
    assert changed.stage("teacher").start == Net("resnet32")
    with pytest.raises(ValueError, match="'distill' needs 'student', which no earlier"):
        replaced(recipe, "distill.teacher=student")


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("epochs", "expected FIELD=VALUE, got 'epochs'"),
        ("tutor.training.epochs=3", "no field or stage called 'tutor'.*teacher"),
        ("teacher.training.epoch=3", "no field called 'epoch'.*epochs"),
        ("teacher.training.epochs=many", "epochs must be a whole number, got 'many'"),
        ("teacher.training.epochs=1.5", "epochs must be a whole number, got '1.5'"),
        ("teacher.training.epochs=true", "epochs must be a whole number, got 'true'"),
        ("teacher.training.clip_norm=x", "must be a number or none, got 'x'"),
        ("teacher.training.drops=0.5", r"must be a tuple, as \(1, 2\), got '0.5'"),
        ("image_size=96px", "image_size must be a whole number or none, got '96px'"),
        ("augment.flip=no", "flip must be true or false or none, got 'no'"),
        ("teacher.training.learning_rate={[]: 1}", "must be a number, got '{"),
        (f"teacher.training.learning_rate={10**400}", "must be a number, got '1"),
        ("augment=3", "augment must be a record whose fields are set one by one"),
        ("teacher.training.epochs=0", "^teacher.training.epochs: epochs must be posi"),
        ("teacher.training.epochs.x=0", "'epochs' in .* has no fields"),
        ("teacher.training.schedule=cos", "no schedule called 'cos'; choose from con"),
        ("name=other", "no field or stage called 'name'"),
    ],
)
def test_bad_assignments(assignment, message):
    with pytest.raises(ValueError, match=message):
        replaced(Recipe("r", "digits", (TEACHER,)), assignment)
