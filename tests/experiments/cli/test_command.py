"""The command's own package: it says who hides ours, and passes on what was asked."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def limbeck(*words, first=()):
    """`python -m limbeck` with folders that come first on the path."""
    path = [*map(str, first), str(ROOT / "experiments/cli/command"), str(ROOT)]
    return subprocess.run(
        [sys.executable, "-m", "limbeck", *words],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )


@pytest.mark.parametrize("name", ["architectures", "compression", "experiments"])
def test_a_package_of_somebody_else_is_named(name, tmp_path):
    other = tmp_path / name / "__init__.py"
    other.parent.mkdir()
    other.touch()
    done = limbeck("--help", first=[tmp_path])
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"limbeck: the package {name!r} is {other}, not lim")
    assert done.stderr.count("\n") == 1


def test_a_folder_of_that_name_without_code_hides_nothing(tmp_path):
    (tmp_path / "experiments").mkdir()
    done = limbeck("--help", first=[tmp_path])
    assert done.returncode == 0 and "Makes image classifiers small" in done.stdout


def test_the_exit_status_is_the_commands(tmp_path):
    done = limbeck("report", str(tmp_path / "none"))
    assert done.returncode == 2 and "none is not a run folder" in done.stderr
