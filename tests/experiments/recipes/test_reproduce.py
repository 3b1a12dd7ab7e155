"""`limbeck reproduce`: what it offers and refuses; hinton2015 on few digits."""

import dataclasses

import numpy as np
import pytest

from compression import export, measure
from compression.distillation import best_bias_shift
from experiments.cli import main as cli
from experiments.data import load, pipeline
from experiments.data.augment import Augment
from experiments.overrides import smoke
from experiments.recipes import REPRODUCIBLE
from experiments.recipes.hinton2015 import recipe as hinton2015
from experiments.recipes.hinton2015 import tables as beside_the_paper
from experiments.runs.layout import RunFolder
from experiments.runs.run import run as run_recipe
from experiments.stages.net import Net
from experiments.stages.training_stage import TrainingStage

pytestmark = pytest.mark.usefixtures("eagerly")

JITTER = Augment(pad=1)
CHOSEN = ("teacher", "distill", "units30_t4", "without_3", "without_3_bias")


@pytest.fixture(scope="module")
def data():
    return load("digits")


@pytest.fixture(scope="module")
def shown():
    """Function of the pipeline -> the augmentation and the digits it was asked for."""
    asked = {"training_batches": [], "view_batches": []}

    def spied(name):
        function = getattr(pipeline, name)

        def spy(data, **options):
            seen = (options["augment"], np.unique(data.train.labels).tolist())
            if seen not in asked[name]:
                asked[name].append(seen)
            return function(data, **options)

        return spy

    with pytest.MonkeyPatch.context() as patch:
        for name in asked:
            patch.setattr(pipeline, name, spied(name))
        yield asked


@pytest.fixture(scope="module")
def run(shown, tmp_path_factory):
    """Some stages of small nets on 8x8 digits; one student's jitter is its own."""
    chosen = []
    for stage in smoke(hinton2015.RECIPE).stages:
        if stage.name == "units30_t4":
            stage = dataclasses.replace(stage, augment=JITTER)
        if isinstance(stage, TrainingStage):
            training = dataclasses.replace(stage.training, epochs=2, batch_size=600)
            net = Net("mlp", {**stage.start.options, "widths": (24, 16)})
            stage = dataclasses.replace(stage, training=training, start=net)
        if stage.name in CHOSEN:
            chosen.append(stage)
    recipe = dataclasses.replace(hinton2015.RECIPE, data="digits", stages=tuple(chosen))
    return run_recipe(recipe, tmp_path_factory.mktemp("runs") / "digits")


def model(run, stage):
    return export.load(RunFolder(run).stage(stage, 0).model).model


def test_every_published_experiment_is_offered(capsys):
    assert cli.main(["reproduce"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(REPRODUCIBLE)
    assert "Distilling the Knowledge in a Neural Network" in "".join(lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["hinton2105"],
            "no published experiment called 'hinton2105' (did you mean hinton2015?); ",
        ),
        (
            ["hinton2015", "--stages", "teach"],
            "no stage called 'teach' (did you mean teacher?); choose ",
        ),
        (
            ["hinton2015", "--set", "only_7_8.classes=(7, 18)", "--set", "data=digits"],
            "classes of digits are 0 to 9, got (7, 18)",
        ),
        (
            ["hinton2015", "--set", "data=digits", "--set", "only_7_8_bias.classes=()"],
            "classes of digits are 0 to 9, got ()",
        ),
    ],
)
def test_reproduce_refuses(arguments, message, capsys, tmp_path):
    out = tmp_path / "run"
    assert cli.main(["reproduce", *arguments, "--out", str(out)]) == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("limbeck: ") and message in line
    assert not out.exists()


def test_the_paper_has_a_figure_for_each_of_its_stages():
    names = {stage.name for stage in hinton2015.RECIPE.stages}
    narrow = {name for name in names if name.startswith("units30")}
    jittered = {"student_jittered", "distill_jittered"}  # which the paper has not
    assert beside_the_paper.PUBLISHED.keys() == names - narrow - jittered
    assert beside_the_paper.LEARNS_FROM.keys() == names - narrow


def test_students_see_no_labels_and_only_their_classes():
    for stage in hinton2015.RECIPE.stages:
        if stage.teaching is not None:
            assert stage.teaching.label_weight == 0
        if isinstance(stage, TrainingStage) and stage.classes is not None:
            assert stage.training.keep == "last"
    assert hinton2015.RECIPE.stage("without_3").classes == (0, 1, 2, 4, 5, 6, 7, 8, 9)


@pytest.mark.slow
def test_rows_count_errors(run, data):
    assert [row["stage"] for row in RunFolder(run).read_rows()] == list(CHOSEN)
    for row in RunFolder(run).read_rows():
        logits = measure.logits(
            run / row["file"], pipeline.evaluation_batches(data, "test")
        )
        wrong = data.test.labels[logits.argmax(axis=1) != data.test.labels]
        assert row["errors"] == len(wrong)
        assert row["errors_by_class"] == np.bincount(wrong, minlength=10).tolist()


def test_the_bias_is_the_best_on_validation_and_nothing_else_moves(run, data):
    rows = {row["stage"]: row for row in RunFolder(run).read_rows()}
    validation = list(pipeline.evaluation_batches(data, "validation"))
    before, after = (model(run, s) for s in ("without_3", "without_3_bias"))
    logits = measure.logits(before, validation)
    shift = best_bias_shift(logits, data.validation.labels, [3])
    row = rows["without_3_bias"]
    assert row["bias_shift"] == shift
    for old, new in zip(before.weights, after.weights, strict=True):
        difference = np.asarray(new) - np.asarray(old)
        if old is before.get_layer("logits").bias:
            expected = np.zeros(10)
            expected[3] = shift
            np.testing.assert_allclose(difference, expected, atol=1e-5)
        else:
            assert not difference.any()
    scored = measure.accuracy(measure.logits(after, validation), data.validation.labels)
    assert row["validation_top1"] == scored
    assert scored >= rows["without_3"]["validation_top1"]


def test_the_last_epoch_is_kept_where_a_class_lacks(run):
    rows = {row["stage"]: row for row in RunFolder(run).read_rows()}
    assert rows["without_3"]["best_epoch"] == rows["without_3"]["epochs"] == 2


def test_teacher_and_student_see_what_the_stage_says(run, shown):
    """Not what the teacher was itself trained on; and of a digit left out, nothing."""
    everything = list(range(10))
    jitter_of_the_teacher = hinton2015.RECIPE.stage("teacher").augment
    assert jitter_of_the_teacher == Augment(pad=2)
    by_student = [
        (jitter_of_the_teacher, everything),
        (Augment(), everything),
        (JITTER, everything),
        (Augment(), [digit for digit in everything if digit != 3]),
    ]
    assert shown["training_batches"] == by_student
    assert shown["view_batches"] == by_student[1:]
