"""The table of distill_methods: gains seed by seed, and its notes."""

import pytest

from experiments import report
from experiments.recipes.distill_methods import tables as distill_methods
from experiments.tables.summary import stage_summaries

TOP1 = {
    "teacher": [0.9, 0.9, 0.9],
    "student": [0.60, 0.62, 0.64],
    "soft_targets": [0.63, 0.64, 0.65],
}


def rows(**changes):
    return [
        {
            "stage": stage,
            "seed": seed,
            "net": stage,
            "data": "cifar10",
            "split": "test",
            "top1": top1,
            "validation_top1": top1 + 0.01,
            "epochs": 8,
            "parameters": 94178,
            "macs": 3_400_000,
            "once": stage == "teacher",
        }
        | changes
        for stage, values in TOP1.items()
        for seed, top1 in enumerate(values)
    ]


def cells(table):
    lines = [line for line in table.splitlines() if line.startswith("|")]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {line[0]: line[1:] for line in found}


def test_gains_are_over_the_same_seeds_student():
    table = report.markdown_table(rows(), recipe="distill_methods")
    found = cells(table)
    # 3, 2 and 1 points: their mean is 2, their sample deviation 1.
    assert found["soft_targets"][1:4] == ["64.00 ± 1.00", "+2.00 ± 1.00", "3"]
    assert found["student"][2] == ""
    assert found["teacher"][1:4] == ["90.00", "", "1"]
    assert "lossy JPEG copy" in table


def test_a_net_that_gets_nothing_right_counts_too():
    made = [row for row in rows() if row["seed"] == 0]
    for row in made:
        row["top1"] = 0.0 if row["stage"] == "soft_targets" else row["top1"]
    found = cells(report.markdown_table(made, recipe="distill_methods"))
    assert any("60.0" in cell for cell in found["soft_targets"])


def test_the_longer_setting_has_the_same_table():
    longer = report.markdown_table(rows(), recipe="distill_methods_full")
    assert longer == report.markdown_table(rows(), recipe="distill_methods")


def test_a_smoke_run_has_the_ordinary_table():
    table = report.markdown_table(rows(), recipe="distill_methods-smoke")
    assert "gain" not in table and "latency" in table


def test_other_data_have_the_ordinary_table():
    table = report.markdown_table(rows(data="mnist"), recipe="distill_methods")
    assert "lossy" not in table and "gain" not in table


def test_the_picture_names_every_mean():
    [picture] = distill_methods.pictures(stage_summaries(rows()))
    assert "soft_targets 64.00" in picture and "student 62.00" in picture


def test_one_method_alone_has_no_picture():
    alone = [each for each in stage_summaries(rows()) if each.stage == "student"]
    assert distill_methods.pictures(alone) == []
    assert alone[0].mean("top1") == pytest.approx(0.62)
