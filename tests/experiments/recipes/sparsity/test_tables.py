"""Error against compression, worked by hand, beside the papers' points."""

import pytest

from experiments.recipes.sparsity import recipe, tables
from experiments.tables.summary import stage_summaries
from experiments.tables.table import as_markdown

# 266,200 kernel weights and 410 biases.
FEW = {"parameters": 266_610, "net": "lenet_300_100", "epochs": 8}


@pytest.fixture
def summaries():
    rows = [
        {"stage": "fc_dense", "seed": 0, "top1": 0.984, "nonzero": 266_610, **FEW},
        # 2,662 and 5,324 weights are left: 100 and 50 times.
        {"stage": "fc_prune_100", "seed": 0, "top1": 0.97, "nonzero": 3_072, **FEW},
        {"stage": "fc_prune_100", "seed": 1, "top1": 0.96, "nonzero": 5_734, **FEW},
    ]
    return stage_summaries(rows)


def test_compressions_leave_biases_out(summaries):
    ours, quoted = tables.tables(summaries)
    lines = as_markdown(ours).splitlines()
    [line] = [line for line in lines if line.startswith("| fc_prune_100")]
    cells = [cell.strip() for cell in line.split("|")[2:7]]
    # Sample deviations of (100, 50) and of (3, 4).
    assert cells == [
        *("LeNet-300-100", "magnitude, iterative", "75.0 ± 35.4", "3.50 ± 0.71", "2")
    ]
    assert "| fc_dense | LeNet-300-100 | dense | 1.0 | 1.60 | 1 |" in as_markdown(ours)
    assert "| LeNet-5 (Caffe) | sparse variational dropout | 280 | 0.75 |" in (
        as_markdown(quoted)
    )


def test_the_picture_names_its_points_in_words(summaries):
    [picture] = tables.pictures(summaries)
    assert "dense 1.60 % at 1x, prune 3.50 % at 75x" in picture
    assert tables.pictures(summaries[:1]) == []


@pytest.mark.parametrize("each", [recipe.RECIPE, recipe.FULL])
def test_every_stage_has_a_line(each):
    for stage in each.stages:
        assert tables.STAGE.fullmatch(stage.name), stage.name
        times = tables.STAGE.fullmatch(stage.name)[3]
        if times:
            assert stage.sparsity == 1 - 1 / int(times)
    found = {tables.STAGE.fullmatch(stage.name).groups()[:2] for stage in each.stages}
    assert {point[:2] for point in tables.PUBLISHED} <= found


def test_biases_are_those_of_the_nets():
    from architectures import build

    for prefix, plan in (("fc", recipe.FC), ("conv", recipe.CONV)):
        net = build(plan.net, input_shape=(28, 28, 1), classes=10)
        biases = sum(w.shape[0] for w in net.weights if w.name == "bias")
        assert tables.BIASES[prefix] == biases
