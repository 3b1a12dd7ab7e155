"""Losses and projections train on JAX too: their tests are run there again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FILES = [*(HERE / "distillation").rglob("test_*.py"), HERE / "pruning/test_prune.py"]
# A process each, of about equal length: how the paths of its files begin. A file is in
# the first group that it fits.
GROUPS = {
    "features": ("distillation/losses/features",),
    "losses": ("distillation/losses",),
    "distiller": ("distillation/test_distiller", "pruning"),
    "rest": ("",),
}
# Nearly all the time is XLA's: it need not make these small graphs fast.
QUICK_XLA = (
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)


def group_of(path):
    name = path.relative_to(HERE).as_posix()
    return next(group for group, heads in GROUPS.items() if name.startswith(heads))


@pytest.mark.parametrize("group", GROUPS)
def test_on_jax(group):
    pytest.importorskip("jax", reason="the second backend is in the extra `test`")
    files = sorted(path for path in FILES if group_of(path) == group)
    assert files
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:xdist", *files],
        env=os.environ
        | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": QUICK_XLA},
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:]
