"""The table of methods by their number of labels, from rows written by hand."""

import pytest

from experiments import recipes
from experiments.recipes import few_labels
from experiments.tables.summary import stage_summaries
from experiments.tables.table import as_markdown

METHODS = {"scratch": "from scratch", "full_tuned": "tuned"}
TOP1 = {
    "scratch_10": (0.50, 0.60),
    "full_tuned_10": (0.70, 0.90),
    "scratch_all": (0.90, 0.92),
    "full_tuned_all": (0.90, 0.93),
    "other_10": (0.1, 0.1),
}


@pytest.fixture(scope="module")
def summaries():
    rows = [
        {"stage": stage, "seed": seed, "net": "n", "data": "d", "top1": top1}
        for stage, values in TOP1.items()
        for seed, top1 in enumerate(values)
    ]
    return stage_summaries(rows, order=list(TOP1))


def test_gains_are_over_the_same_seed_and_labels(summaries):
    [table] = few_labels.tables(summaries, METHODS, ["a note"])
    text = as_markdown(table)
    lines = [line for line in text.splitlines() if line.startswith(("| 10", "| all"))]
    assert [[cell.strip() for cell in line.split("|")[1:5]] for line in lines] == [
        ["10", "from scratch", "55.00 ± 7.07", ""],
        ["10", "tuned", "80.00 ± 14.14", "+25.00 ± 7.07"],
        ["all", "from scratch", "91.00 ± 1.41", ""],
        ["all", "tuned", "91.50 ± 2.12", "+0.50 ± 0.71"],
    ]
    assert "other" not in text and "a note" in text


def test_the_picture_says_its_numbers(summaries):
    [svg] = few_labels.picture(summaries, METHODS)
    assert "for 10, all labels. from scratch: 55.0, 91.0; tuned: 80.0, 91.5." in svg
    assert few_labels.picture(summaries[:1], METHODS) == []


@pytest.mark.parametrize("name", ["transfer_digits", "transfer_classes", "pretraining"])
def test_every_stage_that_is_measured_has_a_line(name):
    module, tables = recipes.recipe_module(name), recipes.tables_module(name)
    rows = [
        {"stage": stage.name, "seed": 0, "net": "n", "data": "d", "top1": 0.5}
        for stage in module.RECIPE.stages
        if stage.exports
    ]
    [table] = tables.tables(stage_summaries(rows))
    assert len(table.cells) == len(rows)
    assert module.RECIPE.data == tables.DATA
