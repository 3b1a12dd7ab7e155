"""Records of runs, and the tables that are made from them."""

import json
from xml.etree import ElementTree

import pytest

from experiments import recipes, records
from experiments.files import write_json


def row(stage, seed, top1):
    return {
        "stage": stage, "seed": seed, "net": "net", "data": "digits", "split": "test",
        "file": "f", "format": "litert", "precision": "float32", "top1": top1,
        "parameters": 10, "nonzero": 10, "macs": 100, "bytes": 1000,
        "bytes_zipped": 900, "latency_ms": 1.0, "latency_low_ms": 0.9,
        "latency_high_ms": 1.1, "examples": 100, "files": [],
    }  # fmt: skip


def write_rows(folder, rows):
    text = "".join(json.dumps(each) + "\n" for each in rows)
    (folder / "rows.jsonl").write_text(text)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "small"
    write_json(folder / "recipe.json", {"name": "demo"})
    write_json(
        folder / "environment.json",
        {"command": "limbeck x", "commit": "a" * 40, "device": "CPU", "cpu": "c"},
    )
    write_json(folder / "data.json", {"name": "digits", "note": "a lossy copy"})
    rows = [row("teacher", seed, top1) for seed, top1 in enumerate((0.9, 0.8, 0.7))]
    write_rows(folder, rows)
    return folder


def test_a_table_is_made_from_the_records(run, tmp_path):
    root = tmp_path / "recipes"
    paths = records.record(run, root)
    home = root / "demo" / "results"
    assert paths == [home / f"small.seed{i}.json" for i in range(3)]
    text = records.table("small", root)
    assert "`limbeck x`, commit aaaaaaaaaa, CPU (c)" in text
    assert "80.00 ± 10.00" in text  # mean and sample deviation of 90, 80, 70
    assert "a lossy copy" in text


def test_records_of_an_experiments_longer_setting_are_its_own(run, tmp_path):
    write_json(run / "recipe.json", {"name": "distill_methods_full"})
    [path, *_] = records.record(run, tmp_path)
    assert path == tmp_path / "distill_methods" / "results" / "small.seed0.json"


@pytest.mark.parametrize("name", ["demo-smoke", "mine", None])
def test_only_experiments_have_records(run, tmp_path, name):
    write_json(run / "recipe.json", {"name": name})
    message = f"ran the recipe {name!r}, which belongs to no experiment; .* of demo, h"
    with pytest.raises(ValueError, match=message):
        records.record(run, tmp_path / "recipes")
    assert not (tmp_path / "recipes").exists()


def test_update_and_check(run, tmp_path):
    root, page = tmp_path / "recipes", tmp_path / "page.md"
    page.write_text("before\n<!-- table: small -->\nold\n<!-- end -->\nafter\n")
    with pytest.raises(FileNotFoundError, match="no record of small"):
        records.update(page, check=True, root=root)
    records.record(run, root)
    with pytest.raises(ValueError, match="page.md differs from the records"):
        records.update(page, check=True, root=root)
    records.update(page, check=False, root=root)
    records.update(page, check=True, root=root)
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("<!-- end -->\nafter\n")
    assert "old" not in text and "80.00" in text


@pytest.fixture
def drawn(run, tmp_path):
    """The records of a run of which there is a picture: their folder, and a text."""
    write_json(run / "recipe.json", {"name": "distill_methods"})
    rows = [row("student", 0, 0.7), row("hints", 0, 0.75)]
    write_rows(run, [each | {"data": "cifar10"} for each in rows])
    root, page = tmp_path / "recipes", tmp_path / "texts" / "page.md"
    records.record(run, root)
    page.parent.mkdir()
    page.write_text("before\n<!-- pictures: small -->\nold\n<!-- end -->\nafter\n")
    return root, page


def test_pictures_lie_beside_the_records(drawn):
    root, page = drawn
    records.update(page, check=False, root=root)
    text = page.read_text()
    path = root / "distill_methods" / "results" / "small.1.svg"
    place = "../recipes/distill_methods/results/small.1.svg"
    assert f"each method: student 70.00, hints 75.00.]({place})\n<!-- end -->" in text
    assert "old" not in text and text.startswith("before\n")
    content = path.read_text(encoding="utf-8")
    assert "hints" in content and "var(" not in content  # nobody styles a file
    ElementTree.fromstring(content)
    records.update(page, check=False, root=root)
    assert (page.read_text(), path.read_text(encoding="utf-8")) == (text, content)


def test_check_misses_a_picture_and_sees_other_figures(drawn):
    root, page = drawn
    records.update(page, check=False, root=root)
    [picture] = root.glob("*/results/*.svg")
    picture.write_text("drawn with other fonts")
    records.update(page, check=True, root=root)
    assert picture.read_text() == "drawn with other fonts"  # nothing is changed
    picture.unlink()
    with pytest.raises(FileNotFoundError, match="small.1.svg, which is not there: run"):
        records.update(page, check=True, root=root)
    assert not picture.exists()
    page.write_text(page.read_text().replace("75.00", "76.00"))
    with pytest.raises(ValueError, match="page.md differs from the records"):
        records.update(page, check=True, root=root)


def test_where_an_experiment_draws_nothing_costs_are_drawn(run, tmp_path):
    root, page = tmp_path / "recipes", tmp_path / "page.md"
    rows = [row(stage, 0, 0.9) | {"bytes_zipped": 100} for stage in ("teacher", "b")]
    for count in (1, 2):  # files: of one alone there is no picture
        write_rows(run, rows[:count])
        for path in records.record(run, root):
            assert path.name == "small.seed0.json"
        page.write_text("<!-- pictures: small -->\n<!-- end -->\n")
        if count == 1:
            with pytest.raises(ValueError, match="no picture of the records of small"):
                records.update(page, check=False, root=root)
    records.update(page, check=False, root=root)
    assert "![Accuracy against zipped bytes. teacher: 90.00 % at" in page.read_text()
    assert len(list(root.glob("demo/results/small.*.svg"))) == 2


def test_mixed_records_are_refused(run, tmp_path):
    path = records.record(run, tmp_path)[1]
    content = json.loads(path.read_text())
    content["environment"]["commit"] = "b" * 40
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="mix runs: commit is"):
        records.table("small", tmp_path)


def test_a_folder_without_rows_is_no_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a run folder"):
        records.record(tmp_path, tmp_path / "recipes")


def test_texts_are_the_readmes_that_exist(tmp_path):
    readme, root = tmp_path / "README.md", tmp_path / "recipes"
    own = root / "hinton2015" / "README.md"
    own.parent.mkdir(parents=True)
    own.touch()
    assert records.texts(root, readme) == [own]  # installed, without a checkout
    readme.touch()
    assert records.texts(root, readme) == [readme, own]


def test_every_experiment_has_a_text_and_the_tables_of_its_records():
    readmes = records.texts()
    assert readmes[1:] == [recipes.folder(n) / "README.md" for n in recipes.EXPERIMENTS]
    shown = "".join(path.read_text(encoding="utf-8") for path in readmes)
    for path in recipes.ROOT.glob("*/results/*.json"):
        run = path.name.partition(".seed")[0]
        assert f"<!-- table: {run} -->" in shown
    for path in recipes.ROOT.glob("*/results/*.svg"):
        run = path.name.partition(".")[0]
        assert f"<!-- pictures: {run} -->" in shown and path.name in shown
    for path in readmes:
        records.update(path, check=True)
