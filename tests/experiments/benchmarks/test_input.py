"""`limbeck bench input`: every loader gives batches, the figures are judged right."""

import json

import numpy as np
import pytest
from PIL import Image

from experiments.benchmarks import input as benchmark
from experiments.benchmarks import input_table
from tests.experiments.benchmarks.test_prune import SETTING, SPREAD


def row(images, case, **more):
    return {"images": images, "case": case, "images_per_second": SPREAD, **more}


def test_figures_become_a_table_with_its_aims():
    result = {
        "rounds": 3,
        "batch": 8,
        "size": 64,
        "quick": False,
        "absent": "it is not there",
        "setting": SETTING | {"workers": 2},
        "results": [
            row("photos", benchmark.OURS),
            row("photos", benchmark.TORCH, cost=SPREAD | {"median": 2.5}),
            row("small", benchmark.OURS),
            row("small", benchmark.TORCH, cost=SPREAD | {"median": 1.5}),
            row("step", benchmark.AT_HAND),
            row("step", benchmark.WITH_INPUT, cost=SPREAD | {"median": 1.25}),
        ],
    }
    text = input_table.as_text(result)
    assert "photos: 2.50 times as fast as the DataLoader; aim 2: met." in text
    assert "small: 1.50 times as fast as the DataLoader; aim 2: missed." in text
    assert "A step with input: 0.80 of the speed without; aim 0.95: missed." in text
    assert "No DataLoader: it is not there." in text and "Quick" not in text


def test_photographs_are_cut_into_two_classes(tmp_path):
    benchmark.cut_photographs(tmp_path, 6)
    files = sorted(tmp_path.rglob("*.jpg"))
    assert [path.parent.name for path in files] == ["0"] * 3 + ["1"] * 3
    for path in files:
        with Image.open(path) as image:
            assert image.height == 256 <= image.width and image.format == "JPEG"


def test_a_loader_starts_anew_for_each_turn():
    begun = []

    def start():
        begun.append(0)

        def take():
            begun[-1] += 1

        return take

    seconds = benchmark._in_turns(
        {"a": start, "b": start}, 4, lambda number: None, rounds=3
    )
    assert begun == [benchmark.WARM_UP + 4] * 6
    assert [len(taken) for taken in seconds.values()] == [3, 3]


def test_an_unknown_benchmark_is_refused():
    with pytest.raises(ValueError, match="no benchmark of 'photo'; choose from photos"):
        benchmark.run(("photo",))


@pytest.mark.slow
@pytest.mark.parametrize("only", [("photos",), ("small", "step")])
def test_a_quick_run_is_complete(only):
    result = benchmark.run(only, quick=True, size=64)
    assert json.loads(json.dumps(result)) == result
    rows = result["results"]
    names = dict.fromkeys(row["images"] for row in rows)
    wanted = ["photos", "photos, jittered"] if "photos" in only else list(only)
    assert list(names) == wanted
    assert all(np.isfinite(row["seconds"]).all() for row in rows)
    assert "Quick: " in input_table.as_text(result)
