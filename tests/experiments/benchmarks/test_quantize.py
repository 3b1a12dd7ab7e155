"""`limbeck bench quantize`: every way trains, the figures are compared right."""

import json

import numpy as np
import pytest

from experiments.benchmarks import quantize, quantize_table
from tests.experiments.benchmarks.test_prune import SETTING, SPREAD


def test_figures_become_a_table():
    dear = SPREAD | {"median": 1.5}
    result = {
        "rounds": 3,
        "steps": 2,
        "batch": 8,
        "quick": False,
        "setting": SETTING,
        "results": [
            {"net": "n", "case": quantize.PLAIN, "images_per_second": SPREAD},
            {"net": "n", "case": quantize_table.OURS, "images_per_second": SPREAD,
             "cost": dear},
            {"net": "n", "case": quantize.TFMOT, "images_per_second": SPREAD,
             "cost": SPREAD},
        ],
    }  # fmt: skip
    text = quantize_table.as_text(result)
    assert "n: a step costs 1.50 of a plain one, tfmot's 1.02: dearer." in text
    assert "Quick" not in text


def test_an_unknown_net_is_refused():
    with pytest.raises(ValueError, match="no net called 'lenet5' here; choose from"):
        quantize.run(("lenet5",))


@pytest.mark.slow
def test_a_quick_run_is_complete():
    pytest.importorskip("tensorflow_model_optimization")
    result = quantize.run(("alexnet_small",), quick=True)
    assert json.loads(json.dumps(result)) == result
    cases = [row["case"] for row in result["results"]]
    assert cases == [quantize.PLAIN, *quantize.OURS, quantize.TF_KERAS, quantize.TFMOT]
    assert all(np.isfinite(row["seconds"]).all() for row in result["results"])
    assert "Quick: " in quantize_table.as_text(result)
