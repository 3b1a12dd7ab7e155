"""The table and the picture of classic_nets, from rows written by hand."""

from experiments import report
from experiments.recipes.classic_nets import recipe, tables
from experiments.tables.summary import stage_summaries
from experiments.tables.table import as_markdown


def row(stage, seed, top1, **more):
    shared = {"net": stage, "data": "cifar10", "split": "test", "parameters": 1234}
    return {"stage": stage, "seed": seed, "top1": top1, **shared, **more}


ROWS = [
    row("resnet20", 0, 0.80, macs=10_000_000, images_per_second=1000.0),
    row("resnet20", 1, 0.82, macs=10_000_000, images_per_second=3000.0),
    row("lenet5", 0, 0.60, macs=650_000, validation_top1=0.61),
    row("alexnet_small", 0, 0.75, macs=12_000_000),
    row("someone_elses", 0, 0.99, macs=1),
]


def test_a_line_a_net_in_the_order_of_the_years():
    text = report.markdown_table(ROWS, recipe="classic_nets")
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if "|" in line]
    assert lines[2:] == [
        ["LeNet-5, ReLU", "1998", "60.00", "61.00", "1,234", "650 k", "–", "1"],
        ["AlexNet", "2012", "75.00", "–", "1,234", "12.0 M", "–", "1"],
        ["ResNet-20", "2015", "81.00 ± 1.41", "–", "1,234", "10.0 M", "2,000", "2"],
    ]
    assert "lossy JPEG copy" in text


def test_the_picture_says_its_points_by_year():
    [svg] = tables.pictures(stage_summaries(ROWS))
    expected = (
        "by year. LeNet-5, ReLU (1998): 60.00 % at 650 k; AlexNet (2012): 75.00 % at "
        "12.0 M; ResNet-20 (2015): 81.00 % at 10.0 M"
    )
    assert expected in svg
    assert tables.pictures(stage_summaries(ROWS[:2])) == []


def test_every_stage_has_a_line():
    for setting in (recipe.RECIPE, recipe.FULL):
        rows = [row(stage.name, 0, 0.5) for stage in setting.stages]
        [table] = tables.tables(stage_summaries(rows))
        assert len(table.cells) == len(rows)
        assert as_markdown(table).count("| 50.00 |") == len(rows)
        assert setting.data == tables.DATA
