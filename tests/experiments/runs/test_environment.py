"""What a run ran on: recorded before it runs, and only what is its own."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.recipe import Recipe
from experiments.runs import run as running
from experiments.runs.environment import differences, environment
from experiments.runs.layout import RunFolder
from experiments.runs.run import run
from experiments.stages.base import Export
from experiments.stages.net import Net
from experiments.stages.train import Train
from experiments.training.settings import Training

pytestmark = pytest.mark.usefixtures("eagerly", "no_board")

ROOT = Path(__file__).resolve().parents[3]
RECIPE = Recipe(
    name="small",
    data="digits",
    stages=(
        Train(
            "net",
            Net("mlp", {"widths": (8,)}),
            Training(epochs=1, batch_size=600),
            exports=(Export("litert"),),
        ),
    ),
)


@pytest.mark.slow
def test_a_kill_after_the_last_stage_leaves_the_environment(
    tmp_path, monkeypatch, capsys
):
    folder = RunFolder(tmp_path / "run")

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(running, "measure", killed)
        with pytest.raises(KeyboardInterrupt):
            run(RECIPE, folder.path, command="limbeck demo")
    first = json.loads(folder.environment.read_text())
    assert first["command"] == "limbeck demo" and first["threads"] >= 1
    stage = json.loads(folder.stage("net", 0).environment.read_text())
    assert differences(stage, first) == [] and stage["command"] == "limbeck demo"
    folder.environment.write_text(json.dumps(first | {"threads": 77}))
    capsys.readouterr()
    run(RECIPE, folder.path)
    note, *_ = capsys.readouterr().out.splitlines()
    assert note.startswith("note: this run began elsewhere (threads 77 there, ")
    kept = json.loads(folder.environment.read_text())
    assert kept["threads"] == 77  # nothing was trained here


def test_another_projects_commit_is_not_ours(tmp_path):
    """Our packages lie inside a checkout that does not track them."""
    shutil.copytree(
        ROOT / "experiments", tmp_path / "site/experiments",
        ignore=shutil.ignore_patterns("__pycache__", "results"),
    )  # fmt: skip
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "theirs"]):
        subprocess.run(
            ["git", "-c", "user.name=x", "-c", "user.email=x@y", *command],
            cwd=tmp_path,
            check=True,
        )
    code = "from experiments.runs.environment import _commit; print(_commit())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path / "site",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "{'commit': None, 'clean': None}"


def test_of_a_checkout_of_ours_the_commit_is_recorded():
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True
    )
    if head.returncode:
        pytest.skip("the tests do not run in a git checkout")
    assert environment("")["commit"] == head.stdout.strip()
