"""Losses and projections train on JAX too: their tests are run there again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FILES = ("distillation", "pruning/test_prune.py")
# Nearly all the time is XLA's: it need not make these small graphs fast.
QUICK_XLA = (
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)


def test_on_jax():
    pytest.importorskip("jax", reason="the second backend is in the extra `test`")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", *(HERE / name for name in FILES)],
        env=os.environ
        | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": QUICK_XLA},
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:]
