"""The table and the forest plot of ablation, from rows written by hand."""

from experiments import report
from experiments.recipes.ablation import claims, recipe, tables
from experiments.tables.summary import stage_summaries

TOP1 = {
    "base": (0.60, 0.62, 0.64),
    "tanh": (0.55, 0.57, 0.59),
    "dropout": (0.50, 0.63, 0.70),
    "plain20": (0.70, 0.71, 0.72),
    "plain56": (0.60, 0.61, 0.62),
}
ROWS = [
    {
        "stage": stage,
        "seed": seed,
        "net": "n",
        "data": "cifar10",
        "top1": top1,
        "validation_top1": top1 + 0.01,
    }
    for stage, values in TOP1.items()
    for seed, top1 in enumerate(values)
]


def test_a_line_a_claim_with_its_verdict():
    text = report.markdown_table(ROWS, recipe="ablation")
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if "|" in line]
    assert [[line[0], line[2], line[3], *line[8:]] for line in lines[2:]] == [
        [
            *("ReLU for tanh: learns faster", "tanh", "base"),
            *("+5.00 ± 0.00", "3", "held here"),
        ],
        [
            *("dropout in dense layers", "base", "dropout"),
            *("-1.00 ± 8.19", "3", "not seen"),
        ],
        [
            *("depth without shortcuts: harms", "plain20", "plain56"),
            *("-10.00 ± 0.00", "3", "held here"),
        ],
    ]
    columns = ["58.00 ± 2.00", "63.00 ± 2.00", "57.00 ± 2.00", "62.00 ± 2.00"]
    assert lines[2][4:8] == columns  # validation before and after, then test
    assert "lossy JPEG copy" in text and "4.30 times for 3 seeds" in text


def test_one_seed_has_effects_and_no_verdicts():
    text = report.markdown_table(ROWS[::3], recipe="ablation")
    assert "| +5.00 | 1 |  |" in text and "held" not in text.split("Note:")[0]


def test_the_picture_says_its_effects():
    [svg] = tables.pictures(stage_summaries(ROWS))
    assert "learns faster: +5.00 ± 0.00 held here; dropout in dense" in svg
    assert tables.pictures(stage_summaries(ROWS[:6])) == []  # of one claim


def test_a_whole_run_has_every_claim():
    rows = [
        ROWS[0] | {"stage": stage.name, "seed": seed, "top1": 0.1 * seed}
        for stage in recipe.RECIPE.stages
        for seed in range(3)
    ]
    [table] = tables.tables(stage_summaries(rows))
    assert len(table.cells) == len(claims.CLAIMS)
    assert recipe.RECIPE.data == tables.DATA
