"""How long it takes to find a net's coupled channels, to plan a cut and to make it."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import keras

import architectures
from compression import measure, pruning

LIMBECK, TORCH_PRUNING = "limbeck", "Torch-Pruning"
NETS, QUICK_NETS = ("resnet50", "resnet56"), ("resnet20",)
BUDGET = 0.5  # of the MACs
TURNS = 3


def run(*, quick: bool, log: Callable[[str], None]) -> list[dict[str, Any]]:
    """A row a net and tool: groups, seconds of the fastest of some turns, MACs left."""
    rows = []
    for name in QUICK_NETS if quick else NETS:
        keras.utils.set_random_seed(0)
        model = architectures.build(name)
        cuts = {LIMBECK: lambda model=model: _cut(model)}
        if torch_missing() is None:
            cuts[TORCH_PRUNING] = lambda name=name: _cut_in_torch(name)
        best: dict[str, dict[str, Any]] = {}
        for turn in range(1 if quick else TURNS):
            for tool, cut in cuts.items():
                if turn and tool == TORCH_PRUNING:
                    continue  # it takes minutes, of which noise is a small part
                log(f"cuts: {name} by {tool}, turn {turn + 1}")
                if (found := cut()) is None:
                    continue
                row = {"net": name, "tool": tool, **found}
                if tool not in best or row["seconds"] < best[tool]["seconds"]:
                    best[tool] = row
        rows += best.values()
    return rows


def torch_missing() -> str | None:
    """Why Torch-Pruning takes no part; None where it does."""
    for package in ("torch", "torch_pruning"):
        if importlib.util.find_spec(package) is None:
            return f"{package} is not installed: pip install torch torch-pruning"
    return None


def _cut_in_torch(name):
    """In a process of its own: what PyTorch loads for a GPU and TensorFlow's libraries
    were seen to crash in one. None where that process has no such net."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "experiments.benchmarks.torch_pruned",
            name,
            str(BUDGET),
        ],
        env=os.environ | {"KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{TORCH_PRUNING} failed: {done.stderr[-500:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _cut(model):
    start = time.perf_counter()
    groups = pruning.channel_groups(model)
    plan = pruning.plan_channels(model, macs=BUDGET)
    planned = time.perf_counter()
    smaller = pruning.remove_channels(model, plan)
    done = time.perf_counter()
    return {
        "groups": len(groups),
        "plan_seconds": planned - start,
        "seconds": done - start,
        "macs_left": measure.macs(smaller) / measure.macs(model),
    }
