"""Exit status and messages, examples in every help, and what no verb may import."""

import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import pytest
import tensorflow as tf

from experiments.cli import main as cli
from experiments.cli import nets, report

ROOT = Path(__file__).resolve().parents[3]
VERBS = [verb.__name__.rpartition(".")[2] for verb in cli.VERBS]


def help_of(words, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([*words, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [[], *([verb] for verb in VERBS), ["bench", "nets"], ["bench", "distill"]]
)
def test_every_help_has_examples_that_parse(words, capsys):
    text = help_of(words, capsys)
    assert max(map(len, text.splitlines())) <= 80
    examples = re.findall(r"^  (limbeck .*)$", text.partition("examples:\n")[2], re.M)
    assert examples
    for example in examples:
        command = shlex.split(example, comments=True)
        assert command[: len(words) + 1] == ["limbeck", *words]
        assert callable(cli.parser().parse_args(command[1:]).run)


def test_the_first_help_lists_every_verb(capsys):
    text = help_of([], capsys)
    assert re.findall(r"^    (\w+)\b", text, re.M) == VERBS


def test_the_version_is_the_packages(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"limbeck {version('limbeck')}\n"


def raising(error):
    def run(options):
        raise error

    return run


@pytest.mark.parametrize(
    "error",
    [
        ValueError("two\n  lines"),
        OSError("two lines"),
        FloatingPointError("two lines"),
        RuntimeError("two lines"),
        tf.errors.ResourceExhaustedError(None, None, "two\nlines"),
    ],
)
def test_what_a_person_can_act_on_is_one_line(error, monkeypatch, refusal):
    monkeypatch.setattr(report, "run", raising(error))
    assert refusal("report", "x") == "limbeck: two lines"


def test_an_error_without_words_still_has_a_line(monkeypatch, refusal):
    monkeypatch.setattr(report, "run", raising(MemoryError()))
    assert refusal("report", "x") == "limbeck: out of memory"
    monkeypatch.setattr(report, "run", raising(RuntimeError()))
    assert refusal("report", "x") == "limbeck: RuntimeError"


def test_a_warning_is_one_line(monkeypatch, capsys):
    def run(options):
        print(warnings.formatwarning("two\n  lines", UserWarning, "file.py", 3), end="")

    before = warnings.formatwarning
    monkeypatch.setattr(report, "run", run)
    assert cli.main(["report", "x"]) == 0
    assert capsys.readouterr().out == "limbeck: warning: two lines\n"
    assert warnings.formatwarning is before


def test_a_fault_of_ours_keeps_its_trace(monkeypatch):
    monkeypatch.setattr(report, "run", raising(KeyError("x")))
    with pytest.raises(KeyError):
        cli.main(["report", "x"])


def test_an_interrupted_command_says_how_to_go_on(monkeypatch, capsys):
    monkeypatch.setattr(report, "run", raising(KeyboardInterrupt()))
    assert cli.main(["report", "x"]) == 130
    expected = "\nlimbeck: stopped; the same command goes on from here\n"
    assert capsys.readouterr().err == expected


def test_a_terminated_command_cleans_up(monkeypatch, capsys):
    cleaned = []

    def run(options):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)  # the signal comes at once
        finally:
            cleaned.append(True)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(report, "run", run)
    assert cli.main(["report", "x"]) == 143
    assert cleaned and "stopped; the same command goes on" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is before


class Loses:
    """An exception that is raised while it is deleted is reported and lost."""

    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)


def test_a_termination_that_was_lost_comes_again_but_not_while_cleaning_up(
    monkeypatch, capsys
):
    reached = []

    def run(options):
        Loses()
        reached.append("after it was lost")
        try:
            time.sleep(5)
            reached.append("to the end")
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.1)
            reached.append("cleaned up")

    monkeypatch.setattr("experiments.cli.main.INSISTENCE", 0.05)
    # pytest's own hook runs for so long that the next signal may end it halfway
    monkeypatch.setattr(sys, "unraisablehook", lambda lost: None)
    monkeypatch.setattr(report, "run", run)
    assert cli.main(["report", "x"]) == 143
    assert reached == ["after it was lost", "cleaned up"]


def test_a_reader_that_has_seen_enough_is_no_error():
    """It is gone before the first line is written."""
    command = f"{sys.executable} -m experiments.cli reproduce | true"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


READ_ONLY = """
import sys
from experiments.cli import main as cli

def after(*words):
    try:
        status = cli.main(words)
    except SystemExit as ended:
        status = ended.code
    heavy = {"keras", "tensorflow", "jax", "torch"} & set(sys.modules)
    if status or heavy:
        sys.exit(f"{words}: status {status}, imported {heavy}")

for verb in cli.VERBS:
    after(verb.__name__.rpartition(".")[2], "--help")
after("--version")
after("reproduce")
after("report", sys.argv[1])
after("table", sys.argv[2])
"""


def test_reading_needs_neither_keras_nor_tensorflow(tmp_path):
    """Help, version, the list of experiments, a run's report, a table of records."""
    [path] = ROOT.glob("experiments/recipes/demo/results/demo-mnist5k.seed0.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    run, text = tmp_path / "run", tmp_path / "text.md"
    run.mkdir()
    for name in ("recipe", "environment", "data"):
        (run / f"{name}.json").write_text(json.dumps(record[name]), encoding="utf-8")
    rows = "".join(json.dumps(row) + "\n" for row in record["rows"])
    (run / "rows.jsonl").write_text(rows, encoding="utf-8")
    text.write_text("<!-- table: demo-mnist5k -->\n<!-- end -->\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", READ_ONLY, run, text],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "distill_methods" in done.stdout
    assert (run / "report.html").exists()
    assert "| distill |" in text.read_text(encoding="utf-8")


def test_terminals_that_lack_a_character_get_another(monkeypatch):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(nets, "run", lambda options: print("98–99 ± 1"))
    assert cli.main(["nets"]) == 0
    assert terminal.buffer.getvalue().decode("latin-1") == "98?99 ± 1\n"


OWN_LAYER = """
import keras

@keras.saving.register_keras_serializable("mine")
class Shifted(keras.layers.Layer):
    def call(self, x):
        return x + 1
"""


MEASURED_WITH_ITS_LAYER = """
import sys

import keras
import my_layers

x = keras.Input((4, 4, 1))
y = keras.layers.Flatten()(my_layers.Shifted()(x))
keras.Model(x, keras.layers.Dense(2)(y)).save("n.keras")
del sys.modules["my_layers"]
keras.saving.get_custom_objects().clear()

from experiments.cli import main as cli

assert cli.main(["measure", "n.keras"]) == 2
sys.exit(cli.main(["--import", "my_layers.py", "measure", "n.keras"]))
"""


def test_layers_of_ones_own_are_imported(tmp_path, capsys, monkeypatch):
    """In a process of its own: what is registered stays so."""
    (tmp_path / "my_layers.py").write_text(OWN_LAYER)
    (tmp_path / "broken.py").write_text("1 / 0")
    done = subprocess.run(
        [sys.executable, "-c", MEASURED_WITH_ITS_LAYER],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "parameters       34" in done.stdout
    monkeypatch.chdir(tmp_path)
    assert cli.main(["measure", "n.keras"]) == 2
    assert "limbeck --import MODULE" in capsys.readouterr().err
    for name, message in (("broken", "division by zero"), ("none", "No module named")):
        assert cli.main(["--import", name, "measure", "n.keras"]) == 2
        assert f"--import {name}: " in (err := capsys.readouterr().err)
        assert message in err
