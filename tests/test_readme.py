"""What the README says, done: its commands parse, its example runs, its tables hold."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import records
from experiments.cli import main as cli

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))
COMMANDS = re.findall(r"^(limbeck [^#\n]+)", BLOCKS, re.MULTILINE)
COMMANDS += [" ".join(c.split()) for c in re.findall(r"`(limbeck [^`]+)`", README)]


@pytest.mark.parametrize("command", sorted(set(COMMANDS)))
def test_every_command_parses(command):
    words = shlex.split(command)[1:]
    assert callable(cli._parser().parse_args(words).run)


SETTING = """
import os
import numpy as np
import architectures
teacher = architectures.build("resnet20", input_shape=(28, 28, 1))
teacher.save("teacher.keras")
rng = np.random.default_rng(0)
images = rng.normal(size=(1300, 28, 28, 1)).astype("float32")
labels = rng.integers(0, 10, len(images))
test_images, test_labels = images[:64], labels[:64]
"""


def test_the_examples_run_one_after_the_other(tmp_path):
    examples = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        assert len([line for line in example.splitlines() if line]) <= 16
    done = subprocess.run(
        [sys.executable, "-c", SETTING + "\n".join(examples)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Profile(kind='litert'" in done.stdout
    assert "UserWarning" not in done.stderr
    assert (tmp_path / "student.tflite").stat().st_size < 100_000
    assert (tmp_path / "student.keras").exists()


def test_tables_are_those_of_the_records():
    records.update(ROOT / "README.md", check=True)
