"""Bytes of nets and their archives, worked by hand."""

import pytest

from experiments.recipes.cifar_bytes import recipe, tables
from experiments.tables.summary import stage_summaries
from experiments.tables.table import as_markdown


@pytest.fixture
def summaries():
    rows = [
        {"stage": "vgg16", "top1": 0.75, "bytes": 3_700_000, "bytes_zipped": 3_400_000},
        {"stage": "vgg16_int8", "top1": 0.749, "bytes": 960_000},
        {"stage": "vgg16_pruned", "top1": 0.755, "bytes": 3_700_000, "nonzero": 90_000},
        {
            "stage": "vgg16_pruned_rounded_10",
            "top1": 0.742,
            "bytes": 3_700_000,
            "bytes_zipped": 150_000,
            "bytes_encoded": 37_000,
        },
        {"stage": "vgg16_rounded_0", "top1": 0.76, "bytes_encoded": 400_000},
    ]
    return stage_summaries([row | {"seed": 0} for row in rows])


def test_a_line_a_file(summaries):
    [table] = tables.tables(summaries)
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in as_markdown(table).splitlines()
        if line.startswith("| VGG")
    ]
    assert [line[1] for line in lines] == [
        "float32",
        "int8",
        "pruned",
        "pruned, rounded, a point lost",
        "rounded at no loss",
    ]
    assert [line[2:4] for line in lines] == [
        ["75.00", ""],
        ["74.90", "-0.10"],
        ["75.50", "+0.50"],
        ["74.20", "-0.80"],
        ["76.00", "+1.00"],
    ]
    assert [line[-1] for line in lines] == ["1.1x", "3.9x", "1.0x", "100.0x", "9.2x"]
    assert lines[3][5:8] == ["3,700,000", "150,000", "37,000"]


def test_the_picture_names_its_points_in_words(summaries):
    [picture] = tables.pictures(summaries)
    assert "VGG-16-bn, 1/4 wide 74.20 % in 37.0 kB" in picture
    assert tables.pictures(summaries[:1]) == []


@pytest.mark.parametrize("each", [recipe.RECIPE, recipe.FULL])
def test_every_stage_has_a_line(each):
    for stage in each.stages:
        assert tables.STAGE.fullmatch(stage.name), stage.name
        if "_rounded_" in stage.name:
            assert stage.max_drop == int(stage.name.rpartition("_")[2]) / 10
