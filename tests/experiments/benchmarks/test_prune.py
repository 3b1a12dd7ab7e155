"""`limbeck bench prune`: the twins are the same net, the figures are computed right."""

import json

import pytest

from experiments.benchmarks import (
    prune,
    prune_cuts,
    prune_steps,
    prune_table,
)

SPREAD = {"median": 1.02, "low": 1.0, "high": 1.1}
SETTING = {
    "threads": 2,
    "cores": 2,
    "gpus": 0,
    "load_average": 0.1,
    "openmp": {},
    "versions": {"keras": "3"},
}


def file(form, faster, fewer_macs):
    return {
        "net": "n",
        "form": form,
        "precision": "int8",
        "threads": 1,
        "macs": 2e6 / fewer_macs,
        "bytes": 2000,
        "bytes_zipped": 1000,
        "latency": {"median_ms": 1.0, "low_ms": 0.9, "high_ms": 1.1, "calls": 9},
        "faster": faster,
        "fewer_macs": fewer_macs,
    }


def test_figures_become_tables():
    steps = [
        {"case": prune_steps.PLAIN, "images_per_second": SPREAD},
        {"case": prune_steps.LIMBECK, "images_per_second": SPREAD, "cost": SPREAD},
    ]
    result = {
        "rounds": 3,
        "quick": False,
        "setting": SETTING,
        "skipped": {"Torch-Pruning": "torch is not installed"},
        "steps": {"net": "n", "batch": 8, "steps": 2, "results": steps},
        "cuts": [
            {"net": "n", "tool": "limbeck", "groups": 7, "seconds": 2.0,
             "plan_seconds": 0.5, "macs_left": 0.496},
        ],
        "multiples": {"net": "m", "batch": 8, "results": [
            {"case": "whole", "images_per_second": SPREAD, "macs_left": 1.0},
            {"case": "multiples of 4", "images_per_second": SPREAD, "cost": SPREAD,
             "macs_left": 0.499},
        ]},
        "files": [file("whole", 1.0, 1.0), file("channels", 1.7, 2.0),
                  file("2:4", 1.0, 1.0), file("channels, by 8", 1.5, 2.0)],
    }  # fmt: skip
    text = prune_table.as_text(result)
    assert "Met: a step with masks costs 1.020 of a dense one" in text
    assert "Left out: Torch-Pruning, torch is not installed." in text
    assert "Of 2 files with fewer channels 1 are faster by at least 0.8" in text
    assert "m cut to half of its MACs, least L2 norm, 8 images a step" in text
    [line] = [line for line in text.splitlines() if "multiples of 4" in line]
    assert line.split()[-1] == "49.90"
    [line] = [
        line for line in text.splitlines() if "limbeck    " in line and "7" in line
    ]
    assert line.split() == ["n", "limbeck", "7", "0.50", "2.00", "49.60"]


def test_an_unknown_part_is_refused():
    with pytest.raises(ValueError, match="no part called 'speed'; choose from steps"):
        prune.run(("speed",))


def test_a_cut_is_timed_and_meets_its_budget():
    [row] = prune_cuts.run(quick=True, log=lambda line: None)[:1]
    assert (row["net"], row["tool"]) == ("resnet20", "limbeck")
    assert 0 < row["plan_seconds"] < row["seconds"]
    assert 0.45 < row["macs_left"] <= 0.5
    assert row["groups"] > 9  # a group a block at least


@pytest.mark.slow
def test_a_quick_run_is_complete():
    pytest.importorskip("tensorflow_model_optimization")
    result = prune.run(quick=True)
    assert json.loads(json.dumps(result)) == result
    cases = [row["case"] for row in result["steps"]["results"]]
    assert cases == [prune_steps.PLAIN, prune_steps.LIMBECK, prune_steps.TF_KERAS,
                     prune_steps.TFMOT]  # fmt: skip
    whole, *cut = result["multiples"]["results"]
    assert whole["macs_left"] == 1 and "cost" not in whole
    assert [row["case"] for row in cut] == ["multiples of 1", "multiples of 4"]
    for row in cut:
        assert 0.45 < row["macs_left"] <= 0.5 and row["cost"]["median"] > 0
    files = {row["form"]: row for row in result["files"]}
    assert files["channels"]["bytes"] < 0.6 * files["whole"]["bytes"]
    assert files["80 % zeros"]["bytes_zipped"] < 0.4 * files["whole"]["bytes_zipped"]
    assert "Quick: " in prune_table.as_text(result)
