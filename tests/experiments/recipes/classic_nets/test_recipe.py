"""The nets of classic_nets: one training for all, and each can be built."""

import inspect

import pytest

import architectures
from architectures.catalogue import BUILDERS
from experiments.data import load
from experiments.overrides import smoke
from experiments.recipes.classic_nets import recipe, tables
from experiments.runs.layout import RunFolder
from experiments.runs.run import run
from tests.experiments.recipes.some_stages import only

pytestmark = pytest.mark.usefixtures("eagerly")
NOT_SMALL = {"alexnet", "alexnet_owt", "zfnet", "zfnet_residual", "googlenet"}
NOT_SMALL |= {"googlenet_bn", "resnet18", "resnet34", "resnet50", "resnet101"}
NOT_SMALL |= {"resnet152", *(f"vgg{n}" for n in (11, 13, 16, 19))}
NOT_SMALL |= {f"vgg{n}_bn" for n in (11, 13, 16, 19)}
HINTONS = {"lenet_300_100", "mlp_1200", "mlp_800"}  # MLPs of MNIST


@pytest.mark.parametrize("setting", [recipe.RECIPE, recipe.FULL], ids=lambda r: r.name)
def test_all_are_trained_alike(setting):
    assert len({stage.training for stage in setting.stages}) == 1
    assert {stage.augment for stage in setting.stages} == {None}
    assert {stage.name for stage in setting.stages} <= tables.NETS.keys()


def test_the_longer_setting_has_every_small_form_at_its_whole_width():
    nets = {stage.start.name for stage in recipe.FULL.stages}
    assert nets == set(architectures.names()) - NOT_SMALL - HINTONS
    assert not any("width" in stage.start.options for stage in recipe.FULL.stages)


def test_years_are_the_cards_and_in_order():
    years = [year for _, year in tables.NETS.values()]
    assert years == sorted(years)
    for stage in recipe.FULL.stages:
        assert tables.NETS[stage.name][1] == architectures.card(stage.start.name).year


@pytest.mark.parametrize("setting", [recipe.RECIPE, recipe.FULL], ids=lambda r: r.name)
def test_builders_take_the_options(setting):
    for stage in setting.stages:
        builder = BUILDERS[stage.start.name]
        inspect.signature(builder).bind(**stage.start.options)


@pytest.mark.slow
def test_a_short_run_measures_its_speed(tmp_path):
    """Of two nets, on few digits."""
    short = only(smoke(recipe.RECIPE), ("mlp", "lenet5_1998"), data="digits")
    out = run(short, tmp_path / "run")
    rows = RunFolder(out).read_rows()
    assert [row["stage"] for row in rows] == ["mlp", "lenet5_1998"]
    for row in rows:
        trained = row["epochs"] * load("digits").train.size
        # The rate is of the steps alone; the stage's time holds all else, too.
        assert row["images_per_second"] > trained / row["seconds"] / 2
