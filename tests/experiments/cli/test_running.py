"""What `limbeck demo` and `limbeck reproduce` ask of a run, without running it."""

from pathlib import Path

import pytest

from experiments.cli import main as cli
from experiments.cli import report
from experiments.recipes.demo.recipe import RECIPE
from experiments.runs import run as runs


@pytest.fixture
def asked(monkeypatch):
    """A list: what each run was asked, and the folder whose report was shown."""
    calls = []
    monkeypatch.setattr(
        runs, "run", lambda recipe, out, **options: calls.append((recipe, out, options))
    )
    monkeypatch.setattr(report, "show", lambda folder: calls.append(folder))
    return calls


def test_the_demo_as_it_stands(asked):
    assert cli.main(["demo"]) == 0
    (recipe, out, options), shown = asked
    assert recipe == RECIPE
    assert out == shown == Path("runs/demo-mnist5k")
    assert options == {
        "seeds": range(1),
        "stages": None,
        "command": "limbeck demo",
        "strategy": None,
    }


def test_every_option_of_a_run(asked, tmp_path):
    words = ["demo", "--data", "folder:a/my photos/", "--image-size", "40"]
    words += ["--skip-bad-images", "--seeds", "3", "--stages", "teacher,student"]
    words += ["--smoke", "--set", "teacher.training.epochs=7", "--set", "augment.pad=1"]
    assert cli.main(words) == 0
    (recipe, out, options), shown = asked
    assert (recipe.data, recipe.image_size) == ("folder:a/my photos/", 40)
    assert recipe.skip_bad_images and recipe.augment.pad == 1
    assert recipe.stage("teacher").training.epochs == 7  # --set has the last word
    assert recipe.stage("student").training.epochs == 3  # --smoke
    assert out == shown == Path("runs/demo-smoke-my photos")
    assert (options["seeds"], options["stages"]) == (range(3), ["teacher", "student"])
    assert options["command"].startswith("limbeck demo --data 'folder:a/my photos/' -")
    assert cli.main(["demo", "--out", str(tmp_path), "--data", "imagenette/160px"]) == 0
    assert asked[2][1] == asked[3] == tmp_path


def test_a_published_experiment(asked):
    assert cli.main(["reproduce", "distill_methods"]) == 0
    (short, out, options), shown = asked
    assert short.name == "distill_methods"
    assert out == shown == Path("runs/distill_methods")
    assert options["seeds"] == range(3)
    assert options["command"] == "limbeck reproduce distill_methods"
    assert cli.main(["reproduce", "distill_methods", "--full", "--seeds", "1"]) == 0
    full, out, options = asked[2]
    assert full != short and out == Path("runs") / full.name
    assert options["seeds"] == range(1)
