"""The demo on its real digits, whole: what the recipe promises."""

import pytest

from experiments.recipes.demo import recipe as demo
from experiments.runs.layout import RunFolder
from experiments.runs.run import run


@pytest.mark.slow
def test_the_demo_keeps_its_promise(tmp_path):
    run(demo.RECIPE, tmp_path / "demo", seeds=[7])
    rows = {row["stage"]: row for row in RunFolder(tmp_path / "demo").read_rows()}
    for stage, top1 in demo.EXPECTED_TOP1.items():
        assert rows[stage]["top1"] >= top1
    names = ("teacher", "distill", "prune", "channels", "int8")
    teacher, distill, prune, channels, int8 = (rows[name] for name in names)
    assert int8["bytes_zipped"] < teacher["bytes_zipped"] / 20
    assert channels["macs"] == int8["macs"] <= 0.4 * distill["macs"]
    assert channels["bytes"] < 0.5 * distill["bytes"]
    assert prune["nonzero"] < 0.25 * prune["parameters"]
    assert int8["agreement"] > 0.99  # with the float model that it was made from
