"""Damaged models of every format are clear errors and never a crash.

In a process of its own, one for all: to import TensorFlow takes seconds.
"""

import os
import subprocess
import sys
from pathlib import Path

from compression import export
from tests.compression.small_nets import small_net

ROOT = Path(__file__).parents[3]
CODE = """
import pathlib, random, sys
from compression import export

def refused(path, target, content, message):
    target.write_bytes(content)
    print(target.name, "of", len(content), flush=True)
    try:
        export.load(path)
    except ValueError as error:
        assert message in str(error) and str(path) in str(error), error
        assert "\\n" not in str(error)
    else:
        sys.exit(f"{target} cut at {len(content)} was loaded")

path, folder, file = map(pathlib.Path, sys.argv[1:])
whole = path.read_bytes()
lengths = {*range(64), *range(64, len(whole), 97)}
lengths |= {len(whole) - missing for missing in range(1, 9)}
message = "not a readable LiteRT file; truncated or not a model?"
for length in sorted(lengths):
    refused(path, path, whole[:length], message)
dice = random.Random(0)
for trial in range(100):
    damaged = bytearray(whole)
    for _ in range(3):
        damaged[dice.randrange(len(whole))] = dice.randrange(256)
    path.write_bytes(damaged)
    print("damaged", trial, flush=True)
    try:
        export.load(path)  # a changed weight is still a model
    except ValueError as error:
        assert str(path) in str(error)

variables = folder / "variables"
for path, target in (
    (folder, folder / "saved_model.pb"),
    (folder, variables / "variables.index"),
    (folder, variables / "variables.data-00000-of-00001"),
    (file, file),
):
    whole = target.read_bytes()
    for length in (0, 1, len(whole) // 3, len(whole) // 2, len(whole) - 1):
        refused(path, target, whole[:length], "not a readable")
    target.write_bytes(whole)
    export.load(path)
"""


def test_cut_at_many_lengths_and_with_bytes_overwritten(tmp_path):
    model = small_net()
    path = export.litert(model, tmp_path / "net.tflite")
    folder = export.saved_model(model, tmp_path / "net")
    model.save(tmp_path / "net.keras")
    done = subprocess.run(
        [sys.executable, "-c", CODE, path, folder, tmp_path / "net.keras"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        timeout=600,
    )
    assert done.returncode == 0, (done.stdout[-100:], done.stderr[-500:])
