"""A stage that all seeds share is shown the test images once."""

import dataclasses

import numpy as np
import pytest

from compression import measure
from experiments.recipe import Recipe
from experiments.runs.layout import RunFolder
from experiments.runs.measured_before import measured_before
from experiments.runs.run import run
from experiments.stages.base import Export
from experiments.stages.distill import Distill
from experiments.stages.net import Net
from experiments.stages.quantize import Quantize
from experiments.stages.teaching import Teaching
from experiments.stages.train import Train
from experiments.training.settings import Training

LITERT = (Export("litert"),)
NET = Net("mlp", {"widths": (8,)})
SHORT = Training(epochs=3, batch_size=128, learning_rate=1e-2)
RECIPE = Recipe(
    name="shared",
    data="digits",
    stages=(
        Train("teacher", NET, SHORT, exports=LITERT, once=True),
        Quantize("int8", "teacher", exports=(Export("litert", "int8"),), once=True),
        Distill("student", NET, SHORT, Teaching("teacher", views=1), exports=LITERT),
    ),
)
LATENCY = ("latency_ms", "latency_low_ms", "latency_high_ms")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The run of two seeds, and the names of models and files that saw the images."""
    shown = []
    logits, profile = measure.logits, measure.profile

    def watched(function):
        def call(runner, *args, **options):
            shown.append(runner.path.parent.name)
            return function(runner, *args, **options)

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "logits", watched(logits))
        patch.setattr(measure, "profile", watched(profile))
        out = tmp_path_factory.mktemp("runs") / "shared"
        return run(RECIPE, out, seeds=(0, 1)), shown


def test_its_rows_are_those_of_the_first_seed_but_for_the_time(measured):
    out, _ = measured
    first, second = (RunFolder(out).measure(seed).read_rows() for seed in (0, 1))
    assert [row["stage"] for row in second] == ["teacher", "int8", "student"]
    for a, b in zip(first[:2], second[:2], strict=True):
        assert a["latency_ms"] > 0 and b["latency_ms"] > 0
        assert list(a) == list(b)
        for row in (a, b, a["files"][0], b["files"][0]):
            for key in LATENCY:
                row.pop(key)
        assert a | {"seed": 1} == b
    answers = [np.load(RunFolder(out).measure(seed).answers) for seed in (0, 1)]
    of_both = [dict(zip(x["stages"], x["answers"], strict=True)) for x in answers]
    for stage in ("teacher", "int8"):
        np.testing.assert_array_equal(of_both[0][stage], of_both[1][stage])
    assert not np.array_equal(of_both[0]["student"], of_both[1]["student"])


def test_each_of_its_files_sees_the_images_once(measured):
    _, shown = measured
    # int8: its float net, its file for the answers and for the scores.
    of_shared = {"teacher": 2, "int8": 3}
    again = {"teacher": 1}  # its logits, for the picture of disagreements
    for stage, times in of_shared.items():
        assert shown.count(stage) == times + again.get(stage, 0), stage
    assert shown.count("student") == 2 * 2


def test_altered_measurements_are_not_believed(measured, tmp_path):
    out, _ = measured
    folder = RunFolder(out)
    stages = {"teacher", "int8"}
    assert len(measured_before(folder, stages).files) == 2
    assert not measured_before(folder, set()).files
    first, second = folder.measured()
    whole = [first.rows.read_bytes(), second.answers.read_bytes()]
    try:
        first.rows.write_bytes(whole[0].replace(b'"errors": ', b'"errors": 1', 1))
        second.answers.write_bytes(whole[1][:-1])
        assert not measured_before(folder, stages).files
    finally:
        first.rows.write_bytes(whole[0])
        second.answers.write_bytes(whole[1])
    known = measured_before(folder, stages)
    files = [row["files"][0] for row in first.read_rows()[:2]]
    prints = [(file["file"], file["sha256"]) for file in files]
    assert known.knows(prints)
    assert not known.knows([*prints, (prints[0][0], "another")])
    assert not known.knows([("another", prints[0][1])])
    assert not dataclasses.replace(known, answers={}).knows(prints)
