"""Run folders of earlier versions: their recipes are read as today's."""

import json
from pathlib import Path

import experiments.recipes
from experiments.recipes.demo import recipe as demo
from experiments.recipes.distill_methods import recipe as distill_methods
from experiments.recipes.hinton2015 import recipe as hinton2015
from experiments.runs.former import declarations, upgraded
from experiments.stages.channels import Channels
from experiments.stages.rate_distortion import RateDistortion

RECORDS = Path(experiments.recipes.__file__).parent


def test_a_committed_record_holds_the_recipe_of_today():
    """Run folders made before stages had a `start` go on where they stood."""
    [path, *_] = RECORDS.glob("*/results/distill_methods.seed*.json")
    recorded = json.loads(path.read_text())["recipe"]
    today = json.loads(json.dumps(distill_methods.RECIPE.as_dict()))
    assert "net" in recorded["stages"][0]
    assert upgraded(recorded) == upgraded(today) == today


def test_a_pruned_and_quantized_run_of_before_is_the_same_run():
    teaching = {"temperature": 4.0, "soft_weight": 1.0, "label_weight": 0.0}
    teaching |= {"views": 8, "view_seed": None, "parts": {}}
    stages = json.loads(json.dumps(demo.RECIPE.as_dict()))["stages"]
    prune, int8 = (stage for stage in stages if stage["name"] in ("prune", "int8"))
    before = {
        **{key: prune[key] for key in ("kind", "name", "start", "training")},
        **{key: prune[key] for key in ("sparsity", "until", "scope", "exports")},
        "teacher": "teacher",
        "teaching": teaching,
    }
    quantized = {key: value for key, value in int8.items() if key != "once"}
    found = upgraded({"name": "demo", "stages": [before, quantized]})
    assert found["stages"] == [prune, int8]


def test_settings_that_came_later_are_off_in_a_run_of_before():
    today = json.loads(json.dumps(distill_methods.RECIPE.as_dict()))
    before = json.loads(json.dumps(today))
    for setting in ("cutout", "rand_augment", "mixup", "cutmix"):
        assert before["augment"].pop(setting) is None
        for stage in before["stages"]:
            assert (stage["augment"] or {setting: None}).pop(setting) is None
    for stage in before["stages"]:
        for setting in ("class_weights", "sampling"):
            assert stage["training"].pop(setting) is None
    assert upgraded(before) == today != before


def test_what_stages_declare_is_known_of_older_runs_too():
    for recipe in (demo.RECIPE, hinton2015.RECIPE):
        found = declarations(json.loads(json.dumps(recipe.as_dict())))
        for stage in recipe.stages:
            if isinstance(stage, Channels | RateDistortion):  # came after stages.json
                continue
            declared = json.loads(json.dumps(stage.declaration()))
            assert found[stage.name] | {"what": stage.what} == declared


def test_a_folder_without_a_recipe_declares_nothing():
    assert declarations({}) == {} and upgraded({}) == {}
