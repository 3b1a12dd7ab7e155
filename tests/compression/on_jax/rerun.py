"""Losses and projections train on JAX too: their tests are run there again.

A process each, of about equal length, in a file each, so that test processes can share
them. Slow are those on files and on numbers of single papers, which the run on
TensorFlow holds, written in the same `keras.ops`; training with every kind of loss, its
state and its gradients are tested on JAX each time.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parents[1]
FILES = [*(HERE / "distillation").rglob("test_*.py"), HERE / "pruning/test_prune.py"]
# How the paths of a group's files begin; a file is in the first group that it fits.
GROUPS = {
    "losses": (
        "distillation/losses/features/test_learned",
        "distillation/losses/logits",
        "distillation/losses/test_",
    ),
    "distiller": ("distillation/test_distiller", "pruning"),
    "schemes": ("distillation/test_schemes", "distillation/test_one_logit"),
    "papers": ("distillation/losses",),
    "rest": ("",),
}
# One test of a slow file is quick: losses between features give their papers' numbers.
PAPERS = "distillation/losses/features/test_features_against_papers.py"
ALSO = {"losses": [f"{HERE / PAPERS}::test_agrees_with_the_paper"]}


def group_of(path):
    name = path.relative_to(HERE).as_posix()
    return next(group for group, heads in GROUPS.items() if name.startswith(heads))


def on_jax(group):
    """Fails unless the tests of the group pass on JAX."""
    pytest.importorskip("jax", reason="the second backend is in the extra `test`")
    files = sorted(path for path in FILES if group_of(path) == group)
    assert files
    chosen = [*files, *ALSO.get(group, ())]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:xdist", *chosen],
        env=os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:]
