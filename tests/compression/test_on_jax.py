"""Losses and projections train on JAX too: their tests are run there again.

In a process of its own, as Keras has one backend. Each time those marked `backends`:
every loss's values and gradients, their state, projections, fake quantization, response
normalisation, and that nothing is exported. Slow are a training step with each, and
all the others, which hold on TensorFlow in the same `keras.ops`.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MARKED = "backends and not slow"


def on_jax(chosen):
    """Fails unless the tests that are marked so pass on JAX."""
    if importlib.util.find_spec("jax") is None:  # to import it here takes seconds
        pytest.skip("the second backend is in the extra `test`")
    rooms = ("distillation", "pruning", "quantization", "export")
    rooms = [HERE / room for room in rooms]
    files = [file for room in rooms for file in sorted(room.rglob("test_*.py"))]
    if chosen == MARKED:  # to import the others would take seconds
        files = [file for file in files if "pytest.mark.backends" in file.read_text()]
        files.append(HERE.parent / "architectures/test_response_norm.py")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:xdist"]
        + ["-m", chosen, *files],
        env=os.environ
        | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
        | {"JAX_DISABLE_MOST_OPTIMIZATIONS": "true"},
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:]


def test_values_gradients_and_training():
    on_jax(MARKED)


@pytest.mark.slow
def test_all_else():
    on_jax("slow and backends or not backends and not slow")
