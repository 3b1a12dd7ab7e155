"""A training step of a net whose weights are held by a mask, against one without."""

from collections.abc import Callable
from typing import Any

from compression.pruning import PolynomialDecay, Prune
from compression.tfmot import to_tf_keras
from experiments.benchmarks import fit_steps, tf_keras_peers
from experiments.benchmarks.fit_steps import FOREVER, stepping
from experiments.benchmarks.keras_peers import compile_as_peers

PLAIN, LIMBECK = "Keras, dense", "limbeck Prune"
TF_KERAS, TFMOT = "tf_keras, dense", "tfmot wrappers"
BASES = {LIMBECK: PLAIN, TFMOT: TF_KERAS}
STEPS = 20  # in a turn, with one update of the masks
HALF, FINAL = 0.5, 0.8
AIM = 1.05


def run(
    rounds: int, batch: int, *, quick: bool, log: Callable[[str], None]
) -> dict[str, Any]:
    """Seconds of a step in each way, and what it costs over the dense net's."""
    steps = 2 if quick else STEPS
    log("building the nets that train")
    calls = warm_calls(batch, steps)
    rows = fit_steps.timed(
        calls, BASES, rounds=rounds, steps=steps, batch=batch, log=log
    )
    name = fit_steps.net().name
    return {"net": name, "batch": batch, "steps": steps, "results": rows}


def warm_calls(batch: int, steps: int) -> dict[str, Callable[[], object]]:
    """Case -> a call of so many steps; each has been called once."""
    dense, masked = fit_steps.net(), fit_steps.net()
    masked.set_weights(dense.get_weights())
    for model in (dense, masked):
        compile_as_peers(model)
    old, wrapped, update = _in_tf_keras(dense, steps)
    for model in (old, wrapped):
        tf_keras_peers.compile_as_peers(model)
    schedule = PolynomialDecay(
        FINAL, initial=HALF, begin=0, end=FOREVER, frequency=steps
    )
    data = fit_steps.batches(dense, batch)
    calls = {
        PLAIN: stepping(dense, data, steps),
        LIMBECK: stepping(masked, data, steps, Prune(schedule)),
        TF_KERAS: stepping(old, data, steps),
        TFMOT: stepping(wrapped, data, steps, update),
    }
    for call in calls.values():
        call()
    return calls


def _in_tf_keras(model, steps):
    """The same net there, with and without tfmot's wrappers, and their callback."""
    import tensorflow_model_optimization as tfmot

    sparsity = tfmot.sparsity.keras
    schedule = sparsity.PolynomialDecay(
        HALF, FINAL, begin_step=0, end_step=FOREVER, frequency=steps
    )
    dense = to_tf_keras(model)
    wrapped = sparsity.prune_low_magnitude(
        to_tf_keras(model), pruning_schedule=schedule
    )
    return dense, wrapped, sparsity.UpdatePruningStep()
