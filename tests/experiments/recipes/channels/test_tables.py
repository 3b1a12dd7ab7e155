"""The table of channels: changes from the whole net, beside published ones."""

import pytest

from experiments.recipes.channels import recipe, tables
from experiments.tables.summary import stage_summaries
from experiments.tables.table import as_markdown


def row(stage, top1, macs, seed=0, **more):
    return {
        "stage": stage,
        "seed": seed,
        "net": "n",
        "top1": top1,
        "macs": macs,
        **more,
    }


ROWS = [
    row("resnet56", 0.9, 125e6, once=True),
    row("resnet56_tuned_2x1", 0.91, 60e6, cut_top1=0.7, once=True),
    row("resnet56_scratch_2x1", 0.85, 60e6, cut_top1=0.1, once=True),
    row("resnet20", 0.88, 40e6, once=True),
    row("resnet20_taught_2x55", 0.87, 16e6, seed=0),
    row("resnet20_taught_2x55", 0.85, 16e6, seed=1),
]


def lines(rows):
    text = as_markdown(tables.tables(stage_summaries(rows))[0])
    assert "lossy JPEG copy" in text
    return [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in text.splitlines()
        if line.startswith(("| ResNet", "| VGG"))
    ]


def test_a_cut_net_stands_beside_the_whole_one():
    whole, tuned, scratch, _, taught = lines(ROWS)
    assert whole[1:7] == ["whole", "125 M", "–", "90.00", "", "1"]
    words, published = "tuned on labels", "93.53 → 93.77 (2.13x)"
    assert tuned[1:7] == [words, "60.0 M (2.08x)", "70.00", "91.00", "+1.00", "1"]
    assert (tuned[-1], scratch[-1], taught[-1]) == (published, "", "")
    assert scratch[5] == "-5.00"
    assert taught[2:7] == ["16.0 M (2.50x)", "–", "86.00 ± 1.41", "-2.00", "2"]


def test_a_cut_net_without_the_whole_one_has_no_change():
    [line] = lines(ROWS[1:2])
    assert (line[2], line[5]) == ("60.0 M", "")


def test_every_stage_has_a_line_and_says_what_it_is():
    rows = [row(stage.name, 0.5, 1e6) for stage in recipe.RECIPE.stages]
    assert len(lines(rows)) == len(recipe.RECIPE.stages) == 3 * 7


def test_the_picture_names_each_net_and_method():
    [picture] = tables.pictures(stage_summaries(ROWS))
    assert "ResNet-56 tuned on labels 90.0, 91.0" in picture
    assert tables.pictures(stage_summaries(ROWS[:1])) == []


@pytest.mark.parametrize("which", ["RECIPE", "FULL"])
def test_cut_nets_of_one_budget_share_their_macs(which):
    stages = {stage.name: stage for stage in getattr(recipe, which).stages}
    for name, stage in stages.items():
        if "scratch" in name:
            tuned = stages[name.replace("scratch", "tuned")]
            assert (stage.macs, stage.training) == (tuned.macs, tuned.training)
            assert stage.from_scratch
