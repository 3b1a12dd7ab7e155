"""`limbeck bench scale`: folders of links, one process a size, figures judged right."""

import json

import pytest
from PIL import Image

from experiments.benchmarks import scale, scale_table
from experiments.cli.main import main
from tests.experiments.benchmarks.test_prune import SETTING


def row(images, classes, micro):
    """What a size gives; an image costs so many microseconds in each part."""
    parts = {
        part: {
            "images": images,
            "seconds": images * micro / 1e6,
            "peak_memory_bytes": 10**9,
        }
        for part in scale.PARTS
    }
    return {"images": images, "classes": classes, "in_memory": True, "parts": parts}


def test_figures_become_a_table_with_its_aim():
    rows = [row(5000, 10, 100), row(60_000, 10, 105), row(60_000, 1000, 120)]
    result = {"quick": False, "setting": SETTING, "results": rows}
    text = " ".join(scale_table.as_text(result).split())
    assert "training: an image costs up to 1.20 times that of 5,000 images" in text
    assert "aim 1.1: not flat." in text
    assert "flat." in scale_table.as_text(result | {"results": rows[:2]})
    assert "Quick" not in text
    scale_table.as_text(result | {"results": rows[:1]})


def test_folders_hold_the_originals_over_and_over(tmp_path):
    originals = []
    for number in range(3):
        originals.append(tmp_path / f"{number}.png")
        Image.new("L", (4, 4), 50 * number).save(originals[-1])
    folder = scale._linked(originals, tmp_path / "images", 8, 2)
    files = sorted(folder.rglob("*.png"))
    assert [path.parent.name for path in files] == ["0000"] * 4 + ["0001"] * 4
    bytes_of_one = [path.read_bytes() for path in files[:4]]
    expected = [path.read_bytes() for path in originals]
    assert bytes_of_one == [*expected, expected[0]]


@pytest.mark.slow
def test_a_process_that_fails_says_why(tmp_path):
    job = {"folder": str(tmp_path / "none"), "threads": None, "batch": 8}
    with pytest.raises(RuntimeError, match="none"):
        scale._in_a_process(job)


@pytest.mark.slow
def test_all_parts_run(capsys):
    assert main(["bench", "scale", "--quick", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [each["images"] for each in result["results"]] == [200, 400]
    for each in result["results"]:
        assert each["parts"].keys() == set(scale.PARTS)
        assert all(part["seconds"] > 0 for part in each["parts"].values())
