"""The tables and pictures of ResNet to AlexNet."""

import pytest

from experiments.recipes import recipe_module, tables_module
from experiments.recipes.resnet_to_alexnet import tables
from experiments.tables.summary import stage_summaries
from experiments.tables.table import as_markdown


def row(stage, top1, seed=0, **more):
    return {
        "stage": stage,
        "seed": seed,
        "net": "n",
        "top1": top1,
        "parameters": 1000,
        "nonzero": 1000,
        "macs": 5000,
        "bytes": 4000,
        "bytes_zipped": 3000,
        "latency_ms": 0.2,
        **more,
    }


ROWS = [
    row("teacher", 0.9, once=True),
    row("alone_8", 0.6),
    row("alone_8", 0.62, seed=1),
    row("soft_8", 0.65),
    row("soft_8", 0.65, seed=1),
    row("alone_16", 0.5),
    row("soft_16", 0.58),
    row("archive", 0.64, nonzero=200, bytes_encoded=500),
    row("order_pkq", 0.63, nonzero=200),
    row("order_p", 0.61, nonzero=200),
]


def lines(which, rows=ROWS, of=tables):
    text = as_markdown(of.tables(stage_summaries(rows))[which])
    cells = [[c.strip() for c in line.split("|")[1:-1]] for line in text.splitlines()]
    return {line[0]: line for line in cells if len(line) > 5}


def test_gains_are_over_the_student_alone_of_that_width():
    found = lines(0)
    assert found["soft_8"][2:5] == ["65.00 ± 0.00", "+4.00 ± 1.41", "2"]
    assert found["soft_16"][3] == "+8.00"
    assert found["archive"][3] == "+4.00"
    assert found["teacher"][3] == found["alone_8"][3] == found["alone_16"][3] == ""
    assert found["archive"][6] == "1,000 (200)" and found["soft_8"][6] == "1,000"
    assert not any(name.startswith("order") for name in found)


def test_whole_orders_have_a_table_of_their_own():
    found = lines(1)
    assert found["prune, distil, quantize"][1:4] == ["63.00", "+3.00", "1"]
    assert len(found) == 3  # its head, the line under that, and it


def test_the_middle_of_mnist_is_another():
    mnist = tables_module("resnet_to_alexnet_mnist")
    found = lines(0, of=mnist)
    assert found["archive"][3] == "+14.00"  # over alone_16


@pytest.mark.parametrize("name", ["resnet_to_alexnet", "resnet_to_alexnet_mnist"])
def test_every_stage_has_a_line(name):
    stages = [s for s in recipe_module(name).RECIPE.stages if s.exports]
    rows = [row(stage.name, 0.5) for stage in stages]
    module = tables_module(name)
    assert len(lines(0, rows, module)) - 2 == len(stages) - 15
    assert len(lines(1, rows, module)) - 2 == 6


def test_pictures_show_bytes_that_are_sent_and_latency():
    sent, latency = tables.pictures(stage_summaries(ROWS))
    assert "archive 64.00 % at 500 B" in sent and "soft_8 65.00 % at 3.00 kB" in sent
    assert "against latency" in latency
    assert tables.pictures(stage_summaries(ROWS[:1])) == []
