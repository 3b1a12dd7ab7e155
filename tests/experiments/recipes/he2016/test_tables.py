"""The table of he2016: errors beside the paper's, of published and of own weights."""

from experiments.recipes.he2016 import recipe, tables
from experiments.tables.summary import stage_summaries
from experiments.tables.table import as_markdown


def test_errors_stand_beside_the_papers():
    rows = [
        {"stage": "resnet32", "seed": 0, "net": "resnet32", "top1": 0.9},
        {"stage": "trained", "seed": 0, "net": "resnet20", "top1": 0.8, "epochs": 12},
        {"stage": "trained", "seed": 1, "net": "resnet20", "top1": 0.9, "epochs": 12},
    ]
    text = as_markdown(tables.tables(stage_summaries(rows))[0])
    cells = [
        [cell.strip() for cell in line.split("|")[1:6]]
        for line in text.splitlines()
        if line.startswith("| resnet")
    ]
    assert cells == [
        ["resnet32", "published", "10.00", "1", "7.51"],
        ["resnet20", "trained here, 12 epochs", "15.00 ± 7.07", "2", "8.75"],
    ]
    assert "lossy JPEG copy" in text


def test_every_stage_has_a_line():
    stages = {stage.name for stage in recipe.RECIPE.stages}
    assert stages == {*tables.PAPER, tables.TRAINED}
    assert tables.pictures([]) == []
