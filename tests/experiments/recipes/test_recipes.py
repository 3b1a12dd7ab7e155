"""Experiments are found by name, without importing their recipes."""

import subprocess
import sys

import pytest

from experiments import recipes


def test_every_folder_is_an_experiment_and_every_experiment_a_folder():
    folders = {path.parent.name for path in recipes.ROOT.glob("*/recipe.py")}
    assert folders == set(recipes.EXPERIMENTS)
    assert {recipes.folder(name).name for name in recipes.EXPERIMENTS} == folders


@pytest.mark.parametrize("name", recipes.EXPERIMENTS)
def test_recipes_are_called_as_their_experiment(name):
    module = recipes.recipe_module(name)
    named = {key: r.name for key in ("RECIPE", "FULL") if (r := vars(module).get(key))}
    assert named.items() <= {"RECIPE": name, "FULL": f"{name}_full"}.items()
    assert "RECIPE" in named


def test_a_recipe_belongs_to_its_experiment():
    assert recipes.experiment_of("demo") == "demo"
    assert recipes.experiment_of("distill_methods") == "distill_methods"
    assert recipes.experiment_of("distill_methods_full") == "distill_methods"
    for stranger in ("distill_methods-smoke", "distill", "_full", None):
        assert recipes.experiment_of(stranger) is None


def test_the_papers_experiments_have_tables_of_their_own():
    assert recipes.tables_module("hinton2015").DATA == "mnist"
    assert recipes.tables_module("distill_methods").DATA == "cifar10"
    assert recipes.tables_module("demo") is None
    assert set(recipes.REPRODUCIBLE) == set(recipes.EXPERIMENTS) - {"demo"}


@pytest.mark.parametrize(
    "function",
    [recipes.recipe_module, recipes.tables_module, recipes.title, recipes.folder],
)
def test_an_unknown_experiment_is_refused(function):
    message = "no experiment called 'hinton2105' .did you mean hinton2015.*demo, h"
    with pytest.raises(ValueError, match=message):
        function("hinton2105")


def test_titles_and_tables_need_no_keras():
    code = (
        "import sys; from experiments import recipes\n"
        "for name in recipes.EXPERIMENTS:\n"
        "    assert len(recipes.title(name)) > 20\n"
        "    recipes.tables_module(name)\n"
        "heavy = {'keras', 'tensorflow', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=recipes.ROOT.parents[1]
    )
