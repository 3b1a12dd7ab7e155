"""The table of distill_ranks: all methods of both pairs, ranked."""

import random

import pytest

from experiments import report
from experiments.recipes.distill_ranks import published
from experiments.recipes.distill_ranks import tables as distill_ranks
from experiments.recipes.distill_ranks.recipe import FULL, RECIPE
from experiments.stages.choose_weight import ChooseWeight
from experiments.tables.summary import stage_summaries


def rows(seeds=(0, 1, 2), stages=None):
    """Every method of a pair is better than the one before, by more than the noise."""
    noise, found = random.Random(0), []
    shown = [stage for stage in RECIPE.stages if stage.exports]
    for at, stage in enumerate(shown):
        if stages is not None and stage.name not in stages:
            continue
        for seed in seeds:
            row = {"stage": stage.name, "seed": seed, "net": "net", "data": "cifar10"}
            row |= {"split": "test", "once": stage.once, "weight_factor": 0.25}
            found.append(row | {"top1": 0.5 + at % 23 / 100 + noise.random() / 1000})
    return found


def lines(table):
    found = [row for row in table.splitlines() if row.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in found]


def test_methods_stand_in_the_order_of_their_ranks():
    table = report.markdown_table(rows(), recipe="distill_ranks")
    head, _, *found = lines(table)[: 2 + len(distill_ranks.TITLES)]
    assert head[:3] == ["method", "mean rank", "n"]
    methods = [title for name, title in distill_ranks.TITLES.items()]
    assert [line[0] for line in found] == methods[::-1]
    assert [line[1] for line in found] == [f"{n}.0 ± 0.0" for n in range(1, 23)]
    assert found[-1][0] == "labels alone" and found[-1][4] == ""
    best = found[0]  # 21 methods better than labels alone
    assert best[2] == "3" and best[5] == "0.25"
    assert float(best[4].split()[0]) == pytest.approx(21, abs=0.2)
    assert "told apart whose mean ranks differ by 13." in table
    assert "lossy JPEG copy" in table
    assert "ResNet-56, published weights, tuned" in table


def test_what_is_quoted_is_named():
    table = report.markdown_table(rows(), recipe="distill_ranks")
    by_method = {line[0]: line for line in lines(table)}
    assert by_method["CRD (Tian 2020)"][-2:] == ["+2.10", "+3.58"]
    assert by_method["DKD (Zhao 2022)"][-2:] == ["", ""]
    assert published.gains("review") is None
    assert "Our order of the 13 methods that the paper has" in table
    assert set(published.TOP1) < set(distill_ranks.TITLES)


def test_part_of_a_run_is_shown_without_ranks():
    some = rows(seeds=(0,), stages=("alexnet_alone", "alexnet_hints", "resnet56"))
    table = report.markdown_table(some, recipe="distill_ranks")
    assert lines(table)[2][:3] == ["labels alone", "–", "1"]
    assert "told apart" not in table
    assert distill_ranks.pictures(stage_summaries(some)) == []


def test_one_pair_alone_is_ranked():
    first = [s.name for s in RECIPE.stages if s.name.startswith(("alexnet", "resnet"))]
    table = report.markdown_table(rows(stages=first), recipe="distill_ranks")
    head, _, best, *_ = lines(table)
    assert not [name for name in head if name.startswith("VGG top-1")]
    assert best[1] == "1.0 ± 0.0" and "VGG-11" not in table


def test_methods_that_a_pair_lacks_are_not_ranked():
    lacking = [row for row in rows() if row["stage"] != "vgg_hints"]
    table = report.markdown_table(lacking, recipe="distill_ranks")
    by_method = {line[0]: line for line in lines(table)}
    hints = by_method["FitNets hints, joint (Romero 2015)"]
    assert hints[1] == "–" and hints[6:9] == ["–", "", "–"]
    assert by_method["labels alone"][1] == "21.0 ± 0.0"


def test_the_picture_has_every_method():
    [picture] = distill_ranks.pictures(stage_summaries(rows()))
    assert "own depth 1.0" in picture and "alone 22.0" in picture


@pytest.mark.parametrize("recipe", [RECIPE, FULL])
def test_every_method_has_as_many_trials(recipe):
    choices = [stage for stage in recipe.stages if isinstance(stage, ChooseWeight)]
    assert len(choices) == 2 * (len(distill_ranks.TITLES) - 1)
    [searched] = {(each.trials, each.training, each.span) for each in choices}
    reported = [s for s in recipe.stages if s.weighed_by and s.exports]
    assert [stage.weighed_by for stage in reported] == [c.name for c in choices]
    assert searched[0] >= 3 and not any(stage.once for stage in reported)
