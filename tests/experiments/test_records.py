"""Records and the tables that are views of them."""

import json

import pytest

from experiments import records
from experiments.files import write_json


def row(stage, seed, top1):
    return {
        "stage": stage, "seed": seed, "net": "net", "data": "digits", "split": "test",
        "file": "f", "format": "litert", "precision": "float32", "top1": top1,
        "parameters": 10, "nonzero": 10, "macs": 100, "bytes": 1000,
        "bytes_zipped": 900, "latency_ms": 1.0, "latency_low_ms": 0.9,
        "latency_high_ms": 1.1, "examples": 100, "files": [],
    }  # fmt: skip


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "small"
    write_json(folder / "recipe.json", {"name": "small"})
    write_json(
        folder / "environment.json",
        {"command": "limbeck x", "commit": "a" * 40, "device": "CPU", "cpu": "c"},
    )
    write_json(folder / "data.json", {"name": "digits", "note": "a lossy copy"})
    rows = [row("teacher", seed, top1) for seed, top1 in enumerate((0.9, 0.8, 0.7))]
    (folder / "rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return folder


def test_a_table_is_made_from_the_records(run, tmp_path):
    results = tmp_path / "results"
    paths = records.record(run, results)
    assert [p.name for p in paths] == [f"small.seed{i}.json" for i in range(3)]
    text = records.table("small", results)
    assert "`limbeck x`, commit aaaaaaaaaa, CPU (c)" in text
    assert "80.00 ± 10.00" in text  # mean and sample deviation of 90, 80, 70
    assert "a lossy copy" in text


def test_update_and_check(run, tmp_path):
    results, page = tmp_path / "results", tmp_path / "page.md"
    page.write_text("before\n<!-- table: small -->\nold\n<!-- end -->\nafter\n")
    with pytest.raises(FileNotFoundError, match="no record of small"):
        records.update(page, check=True, results=results)
    records.record(run, results)
    with pytest.raises(ValueError, match="page.md differs from the records"):
        records.update(page, check=True, results=results)
    records.update(page, check=False, results=results)
    records.update(page, check=True, results=results)
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("<!-- end -->\nafter\n")
    assert "old" not in text and "80.00" in text


def test_mixed_records_are_refused(run, tmp_path):
    results = tmp_path / "results"
    path = records.record(run, results)[1]
    content = json.loads(path.read_text())
    content["environment"]["commit"] = "b" * 40
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="mix runs: commit is"):
        records.table("small", results)


def test_a_folder_without_rows_is_no_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="is no run folder"):
        records.record(tmp_path, tmp_path)
