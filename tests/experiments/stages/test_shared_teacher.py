"""One teacher for all seeds and methods: trained once, looked at once."""

import pytest

from experiments import report
from experiments.overrides import replaced
from experiments.recipe import Recipe
from experiments.recipes.distill_methods import recipe as distill_methods
from experiments.runs.layout import RunFolder
from experiments.runs.run import run as run_recipe
from experiments.stages.base import Export
from experiments.stages.distill import Distill
from experiments.stages.net import Net
from experiments.stages.teaching import Teaching
from experiments.stages.train import Train
from experiments.training.settings import Training

pytestmark = pytest.mark.usefixtures("eagerly")

FILES = (Export("saved_model"),)  # written in half the time of a .tflite file
SHORT = Training(epochs=1, batch_size=512, learning_rate=3e-3)
SMALL = Net("mlp", {"widths": (16,)})


def distill(name, **parts):
    teaching = Teaching(
        "teacher", soft_weight=0.0, label_weight=1.0, views=2, view_seed=0, parts=parts
    )
    return Distill(name, SMALL, SHORT, teaching, exports=FILES)


RECIPE = Recipe(
    name="shared",
    data="digits",
    stages=(
        Train(
            "teacher",
            Net("mlp", {"widths": (32, 24)}),
            SHORT,
            exports=FILES,
            once=True,
        ),
        distill("hints", Hints={"teacher": "fc1", "student": "fc1"}),
        distill("contrast", ContrastiveRepresentation={"negatives": 64}),
    ),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIMBECK_CACHE", str(tmp_path_factory.mktemp("cache")))
        out = tmp_path_factory.mktemp("runs") / "shared"
        return run_recipe(RECIPE, out, seeds=(0, 1))


@pytest.fixture(scope="module")
def rows(run):
    return RunFolder(run).read_rows()


def test_rows_are_in_the_order_of_seeds_then_of_stages(rows):
    stages = ("teacher", "hints", "contrast")
    expected = [(seed, stage) for seed in (0, 1) for stage in stages]
    assert [(row["seed"], row["stage"]) for row in rows] == expected


def test_the_teacher_is_trained_once(rows):
    teachers = [row for row in rows if row["stage"] == "teacher"]
    assert [row["seed"] for row in teachers] == [0, 1]
    assert all(row["file"].startswith("stages/once/teacher/") for row in teachers)
    assert teachers[0]["top1"] == teachers[1]["top1"]


def test_the_teacher_looks_once_for_all_methods_and_seeds(rows):
    caches = [row["teacher_cache"] for row in rows if row["stage"] != "teacher"]
    images = 2 * 1259 + 179  # views of the train split, and the validation split
    assert [cache["computed"] for cache in caches] == [images, 0, 0, 0]
    assert [cache["reused"] for cache in caches] == [0, images, images, images]


def test_students_of_other_seeds_are_other_students(rows):
    losses = {row["loss"] for row in rows if row["stage"] != "teacher"}
    assert len(losses) == 4


def test_a_table_does_not_count_the_teacher_twice(rows):
    table = report.markdown_table(rows)
    counts = {}
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] in ("teacher", "hints", "contrast"):
            counts[cells[0]] = (cells[3], "±" in cells[2])
    assert counts == {
        "teacher": ("1", False),
        "hints": ("2", True),
        "contrast": ("2", True),
    }


def test_a_report_misses_nothing(run):
    assert "missing" not in report.summary(run)
    assert report.write(run).exists()


def test_distill_methods_can_be_changed_from_the_command_line():
    path = "attention.teaching.parts.AttentionTransfer.weight"
    changed = replaced(distill_methods.RECIPE, f"{path}=7.0")
    options = changed.stage("attention").teaching.parts["AttentionTransfer"]
    before = distill_methods.RECIPE.stage("attention").teaching.parts
    assert options == before["AttentionTransfer"] | {"weight": 7.0}


@pytest.mark.parametrize("recipe", [distill_methods.RECIPE, distill_methods.FULL])
def test_every_method_of_distill_methods_exists(recipe):
    for stage in recipe.stages[2:]:
        [loss] = stage.teaching.losses(images=45_000)
        assert loss.weight > 0
        assert stage.start == recipe.stages[1].start
        assert stage.training == recipe.stages[1].training
