"""`limbeck work`: a run folder is prepared, and worked on by whoever comes."""

import json

import pytest

from experiments.cli import main as cli
from experiments.runs.layout import RunFolder
from experiments.runs.work import Outcome

pytestmark = pytest.mark.usefixtures("eagerly", "no_board")

TRAIN = ("train", "mlp(widths=(8,))", "--data", "digits", "--epochs", "1")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "small"
    assert cli.main([*TRAIN, "--out", str(out), "--seeds", "2", "--prepare"]) == 0
    return out


def test_a_folder_is_prepared_and_nothing_run(prepared, capsys):
    folder = RunFolder(prepared)
    ordered = json.loads(folder.order.read_text())
    assert ordered["seeds"] == [0, 1] and ordered["stages"] == ["train"]
    command = (
        f"limbeck train 'mlp(widths=(8,))' --data digits --epochs 1 --out {prepared}"
    )
    assert ordered["command"] == f"{command} --seeds 2"
    assert folder.recipe.is_file() and folder.data.is_file()
    assert not (prepared / "stages").exists() and not folder.rows.exists()
    again = [*TRAIN, "--out", str(prepared), "--seeds", "2", "--prepare"]
    assert cli.main(again) == 0
    assert (
        capsys.readouterr().out
        == f"Ready, for any number of: limbeck work {prepared}\n"
    )


def test_a_worker_does_it_and_writes_the_report(prepared, capsys):
    assert cli.main(["work", str(prepared), "--seeds", "1"]) == 0
    folder = RunFolder(prepared)
    assert [row["seed"] for row in folder.read_rows()] == [0]
    printed = capsys.readouterr().out
    assert f"Report: {folder.page}" in printed and folder.page.is_file()
    assert cli.main(["work", str(prepared), "--no-wait"]) == 0
    assert [row["seed"] for row in folder.read_rows()] == [0, 1]
    assert "[seed 0] train: finished before" in capsys.readouterr().out
    command = folder.read_environment()["command"]
    assert command.startswith("limbeck train") and "--prepare" not in command


def test_what_failed_is_said_in_one_line(prepared, refusal, monkeypatch):
    found = Outcome(
        failed={"seed0-train": {"error": "no luck", "by": "process 7 on far"}},
        held_up=["seed0-measure", "report"],
    )
    monkeypatch.setattr("experiments.runs.share.take_part", lambda *_, **__: found)
    assert refusal("work", prepared) == (
        "limbeck: failed: seed0-train (process 7 on far): no luck; not begun: "
        f"seed0-measure, report; `limbeck work {prepared}` tries it again"
    )


def test_what_others_go_on_with_is_no_end(prepared, monkeypatch, capsys):
    found = Outcome(finished={"seed0-train"})
    monkeypatch.setattr("experiments.runs.share.take_part", lambda *_, **__: found)
    assert cli.main(["work", str(prepared), "--no-wait"]) == 0
    assert capsys.readouterr().out == ""


def test_what_is_no_run_folder(tmp_path, refusal):
    assert refusal("work", tmp_path / "no") == (
        f"limbeck: {tmp_path}/no is not a run folder; --prepare makes one, as in "
        f"`limbeck demo --out {tmp_path}/no --prepare`"
    )
    (tmp_path / "run/stages").mkdir(parents=True)
    (tmp_path / "run/recipe.json").write_text("{}")
    run = tmp_path / "run"
    assert f"it is in {run}, which is one" in refusal("work", run / "stages")
    assert f"it holds 1, such as {run}" in refusal("work", tmp_path)
    assert "no command 'wrok' (did you mean work?)" in refusal("wrok", "runs/a")
