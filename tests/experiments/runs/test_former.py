"""Run folders of earlier versions: their recipes are read as today's."""

import json
from pathlib import Path

import pytest

import experiments.recipes
from experiments.recipes.demo import recipe as demo
from experiments.recipes.distill_methods import recipe as distill_methods
from experiments.recipes.hinton2015 import recipe as hinton2015
from experiments.runs.former import declarations, upgraded

RECORDS = Path(experiments.recipes.__file__).parent


def recorded(name):
    [*_, path] = sorted(RECORDS.glob(f"*/results/{name}.seed*.json"))
    return json.loads(path.read_text())["recipe"]


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("demo-mnist5k", demo.RECIPE),
        ("distill_methods", distill_methods.RECIPE),
        ("hinton2015", hinton2015.RECIPE),
    ],
)
def test_committed_records_hold_the_recipes_of_today(name, recipe):
    """Run folders made before stages had a `start` go on where they stood."""
    today = json.loads(json.dumps(recipe.as_dict()))
    assert upgraded(recorded(name)) == today
    assert upgraded(today) == today


def test_what_stages_declare_is_known_of_older_runs_too():
    for recipe in (demo.RECIPE, hinton2015.RECIPE):
        found = declarations(json.loads(json.dumps(recipe.as_dict())))
        for stage in recipe.stages:
            declared = json.loads(json.dumps(stage.declaration()))
            assert found[stage.name] | {"what": stage.what} == declared


def test_a_folder_without_a_recipe_declares_nothing():
    assert declarations({}) == {} and upgraded({}) == {}
