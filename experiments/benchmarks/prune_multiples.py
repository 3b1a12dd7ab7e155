"""A training step of a net that kept odd numbers of channels, or multiples of some.

Kernels of processors work on several channels at once: with other numbers than
multiples of those a net trains slower than its multiply-accumulates say, or even
slower than the whole one.
"""

from collections.abc import Callable
from typing import Any

from compression import measure, pruning
from experiments.benchmarks import fit_steps
from experiments.benchmarks.fit_steps import stepping
from experiments.benchmarks.keras_peers import compile_as_peers

WHOLE = "whole"
MULTIPLES, QUICK_MULTIPLES = (1, 2, 4, 8), (1, 4)
BUDGET = 0.5  # of the MACs
STEPS = 10  # in a turn


def run(
    rounds: int, batch: int, *, quick: bool, log: Callable[[str], None]
) -> dict[str, Any]:
    """Seconds of a step of ResNet-20, whole and cut by each multiple."""
    steps = 2 if quick else STEPS
    whole = fit_steps.resnet()
    nets = {WHOLE: whole}
    for multiple in QUICK_MULTIPLES if quick else MULTIPLES:
        plan = pruning.plan_channels(whole, macs=BUDGET, round_to=multiple)
        nets[f"multiples of {multiple}"] = pruning.remove_channels(whole, plan)
    calls = {}
    for name, model in nets.items():
        log(f"multiples: building {name}")
        compile_as_peers(model)
        calls[name] = stepping(model, fit_steps.batches(model, batch), steps)
        calls[name]()
    bases = {name: WHOLE for name in nets if name != WHOLE}
    rows = fit_steps.timed(
        calls, bases, rounds=rounds, steps=steps, batch=batch, log=log
    )
    macs = measure.macs(whole)
    for row in rows:
        row["macs_left"] = measure.macs(nets[row["case"]]) / macs
    return {"net": whole.name, "batch": batch, "steps": steps, "results": rows}
