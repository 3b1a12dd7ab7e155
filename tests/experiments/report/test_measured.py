"""What was kept beside the rows: read, or else named and left out."""

import json

import numpy as np
import pytest

from experiments import report
from experiments.report.folder import read
from experiments.runs.fingerprints import seal
from experiments.runs.layout import RunFolder

WRONG = {
    "answers.npz": [
        {"labels": np.arange(100) / 7},
        {"labels": np.arange(99)},
        {"stages": np.array(["teacher"])},
        {"answers": -np.ones((4, 100), int)},
        {"labels": np.full(100, 10**9)},
    ],
    "filters.npz": [
        {"0": np.zeros((3, 3, 2, 4), "f4")},
        {"0": np.zeros((3, 3), "f4")},
        {"0": np.zeros((3, 3, 1, 4), int)},
    ],
}


@pytest.mark.parametrize(
    ("name", "change"),
    [(n, change) for n, changes in WRONG.items() for change in changes],
)
def test_arrays_of_another_kind_are_left_out(make_run, name, change):
    run = make_run(seeds=(0,))
    path = run / "stages/seed0/measure" / name
    np.savez(path, **dict(np.load(path)) | change)
    assert read(run).gaps == (f"unreadable {name} of seed0",)
    report.write(run)


@pytest.mark.parametrize("name", ["answers.npz", "filters.npz", "kernels.json"])
def test_damaged_files_are_left_out(make_run, name):
    run = make_run(seeds=(0,))
    path = run / "stages/seed0/measure" / name
    path.write_bytes(path.read_bytes()[:-30])
    assert read(run).gaps == (f"unreadable {name} of seed0",)
    report.write(run)


def test_kernels_of_another_kind_are_left_out(make_run):
    run = make_run(seeds=(0,))
    path = run / "stages/seed0/measure/kernels.json"
    path.write_text(json.dumps({"teacher": [{"name": "conv1", "size": -1}]}))
    assert read(run).gaps == ("unreadable kernels.json of seed0",)


def test_what_was_altered_is_left_out(make_run):
    run = make_run(seeds=(0,))
    home = RunFolder(run).measure(0)
    seal(home, {})
    stored = dict(np.load(home.answers))
    np.savez(home.answers, **stored | {"answers": np.zeros_like(stored["answers"])})
    found = read(run)
    assert found.gaps == ("altered answers.npz of seed0, which is left out",)
    assert found.measured.answers == () and found.measured.kernels
