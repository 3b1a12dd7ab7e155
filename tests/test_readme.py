"""The READMEs: their commands parse, their examples run, their links lead somewhere."""

import re
import shlex
import warnings
from pathlib import Path

import pytest

from experiments import recipes, records
from experiments.cli import main as cli

ROOT = Path(__file__).resolve().parents[1]
DISTILLATION = ROOT / "compression/distillation/README.md"
PATHS = [*records.texts(), DISTILLATION]
TEXTS = {path: path.read_text(encoding="utf-8") for path in PATHS}
README = TEXTS[ROOT / "README.md"]
EVERYTHING = "\n".join(TEXTS.values())
BLOCKS = "\n".join(re.findall(r"```sh\n(.*?)```", EVERYTHING, re.DOTALL))
COMMANDS = re.findall(r"^(limbeck [^#\n]+)", BLOCKS, re.MULTILINE)
COMMANDS += re.findall(r"`(limbeck [^`]+)`", EVERYTHING)


@pytest.mark.parametrize("command", sorted({" ".join(c.split()) for c in COMMANDS}))
def test_every_command_parses(command):
    words = shlex.split(command)[1:]
    assert callable(cli.parser().parse_args(words).run)


SETTING = """
import os
import numpy as np
from architectures.resnet import resnet_cifar
teacher = resnet_cifar(8, input_shape=(28, 28, 1), width=0.5)  # stages of any ResNet
teacher.save("teacher.keras")
rng = np.random.default_rng(0)
images = rng.normal(size=(1300, 28, 28, 1)).astype("float32")
labels = rng.integers(0, 10, len(images))
test_images, test_labels = images[:64], labels[:64]
"""


def test_the_examples_run_one_after_the_other(tmp_path, monkeypatch, capsys):
    text = README + TEXTS[DISTILLATION]
    examples = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(examples) == 3
    for example in examples:
        assert len([line for line in example.splitlines() if line]) <= 16
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        # Nothing can be learnt of random labels: its logits are as good as equal.
        warnings.filterwarnings("ignore", "student.tflite gives the model's answer")
        exec(SETTING + "\n".join(examples), {"__name__": "__main__"})
    assert "Profile(kind='litert'" in capsys.readouterr().out
    assert (tmp_path / "student.tflite").stat().st_size < 100_000
    assert (tmp_path / "student.keras").exists()
    assert (tmp_path / "plan.json").exists()


def test_the_top_readme_is_short_and_leads_to_every_experiment():
    assert len(README.splitlines()) < 210
    for name in recipes.EXPERIMENTS:
        path = (recipes.folder(name) / "README.md").relative_to(ROOT)
        assert f"]({path})" in README


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path):
    headings = re.findall(r"^#+ (.+)$", TEXTS[path], re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}
    for target in re.findall(r"\]\((?!https?://)([^)]+)\)", TEXTS[path]):
        file, _, anchor = target.partition("#")
        assert (path.parent / file).exists(), target
        assert file or anchor in anchors, target


def test_paths_in_the_readme_exist():
    """`experiments/recipes/NAME/...` and the like stand for any experiment."""
    rooms = r"`((?:architectures|compression|experiments|tests)/[\w/.]*)`"
    for path in re.findall(rooms, EVERYTHING):
        assert (ROOT / path).exists(), path
