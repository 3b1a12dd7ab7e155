"""Several runs in one table: their stages by run, ratios to the very first."""

import shutil

import numpy as np
import pytest

from experiments import report
from experiments.cli import main as cli


@pytest.fixture
def two(make_run, put_rows, rows):
    """A run of four stages and three seeds, and one of two stages and one seed."""
    first = make_run()
    second = first.with_name("other")
    shutil.copytree(first, second)
    put_rows(second, rows(["teacher", "distill"], [0]))
    return first, second


def test_all_stages_stand_in_one_table(two):
    text = report.compared(two)
    stages = [
        line.split()[0]
        for line in text.splitlines()
        if "net_" in line or "net20" in line
    ]
    assert stages == [
        "run/teacher", "run/distill", "run/prune", "run/int8",
        "other/teacher", "other/distill",
    ]  # fmt: skip
    assert "Ratios: how many times smaller than run/teacher's." in text
    assert "only those of one run compare" in text
    assert "missing: other: stage prune is not finished" in text


def test_the_page_has_the_table_and_both_plots(two, tmp_path, capsys):
    out = tmp_path / "both.html"
    assert cli.main(["report", *map(str, two), "--out", str(out)]) == 0
    assert f"Report: {out}" in capsys.readouterr().out
    html = out.read_text(encoding="utf-8")
    assert html.count("<table>") == 2 and html.count("<svg") == 2
    assert "other/distill: 97" in html or "other/distill" in html


def test_nets_of_both_runs_answer_the_same_images(two):
    """The second run has no row of the pruned net, but its answers."""
    text = report.compared(two)
    assert "The same 100 test images, seed 0" in text
    lines = [line.split() for line in text.splitlines() if "100.00   " in line]
    assert ["other/teacher", "100.00", "100", "0", "0", "1.0000"] in lines


def test_other_images_are_not_compared(two):
    first, second = two
    path = second / "stages/seed0/measure/answers.npz"
    stored = dict(np.load(path))
    np.savez(path, **stored | {"labels": stored["labels"][::-1]})
    assert "test images, seed" not in report.compared(two)


def test_runs_of_one_name_are_told_apart_by_their_folders(two, tmp_path):
    first, _ = two
    (tmp_path / "b").mkdir()
    shutil.copytree(first, tmp_path / "b/run")
    text = report.compared([first, tmp_path / "b/run"])
    assert "b/run/teacher" in text and f"{tmp_path.name}/run/teacher" in text
