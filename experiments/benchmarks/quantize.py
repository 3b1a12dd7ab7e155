"""What quantization-aware training costs a step, beside tfmot's on the same nets.

    limbeck bench quantize

Each way is compared with plain training in the same framework, in turns in one run:
ours with Keras 3, tfmot's with tf_keras, which is all that it takes.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from compression.quantization import quantize_aware
from compression.tfmot import to_tf_keras
from compression.tfmot.fused_relus import with_fused_relus
from experiments.benchmarks import fit_steps, tf_keras_peers
from experiments.benchmarks.fit_steps import stepping
from experiments.benchmarks.keras_peers import compile_as_peers
from experiments.benchmarks.setting import set_threads

PLAIN, TF_KERAS = "Keras, plain", "tf_keras, plain"
OURS = {
    "limbeck quantize_aware": {},
    "limbeck, LSQ": {"method": "lsq"},
    "limbeck, PACT": {"method": "pact"},
    "limbeck, 4-bit weights": {"bits": 4},
}
TFMOT = "tfmot quantize_model"
BASES = dict.fromkeys(OURS, PLAIN) | {TFMOT: TF_KERAS}
# Chains of stock layers. The second has batch norm.
NETS = ("alexnet_small", "vgg16_cifar")
ROUNDS, QUICK_ROUNDS = 15, 2
STEPS = 5  # in a turn


def run(
    only: tuple[str, ...] | None = None,
    *,
    rounds: int | None = None,
    threads: int | None = None,
    batch: int | None = None,
    quick: bool = False,
    log: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Time training steps with fake quantization.

    Args:
        only: some of `NETS`; None: all.
        rounds: turns of each way to train.
        threads: of TensorFlow; None leaves them as they are.
        batch: images a training step.
        quick: two rounds of few images, to see that everything runs.
        log: called with each line of progress.

    Raises:
        ValueError: there is no such net, or the number of threads can no longer be
            changed.
    """
    for name in only or ():
        if name not in NETS:
            raise ValueError(
                f"no net called {name!r} here; choose from {', '.join(NETS)}"
            )
    rounds = rounds or (QUICK_ROUNDS if quick else ROUNDS)
    batch = batch or (8 if quick else 128)
    steps = 1 if quick else STEPS
    setting = set_threads(threads, with_torch=False)
    rows = []
    for name in NETS:
        if only is not None and name not in only:
            continue
        log(f"{name}: building the nets that train")
        calls = warm_calls(name, batch, steps)
        timed = fit_steps.timed(
            calls, BASES, rounds=rounds, steps=steps, batch=batch, log=log
        )
        rows += [{"net": name, **row} for row in timed]
    return {
        "benchmark": "quantize",
        "rounds": rounds,
        "steps": steps,
        "batch": batch,
        "quick": quick,
        "setting": setting,
        "results": rows,
    }


def warm_calls(name: str, batch: int, steps: int) -> dict[str, Callable[[], object]]:
    """Case -> a call of so many steps; each has been called once."""
    plain = fit_steps.net(name)
    data = fit_steps.batches(plain, batch)
    images = [np.asarray(next(iter(data))[0])]
    models = {PLAIN: plain}
    for case, options in OURS.items():
        models[case] = quantize_aware(
            fit_steps.net(name), calibration=images, **options
        )
    for model in models.values():
        compile_as_peers(model)
    models |= _in_tf_keras(plain)
    calls = {case: stepping(model, data, steps) for case, model in models.items()}
    for call in calls.values():
        call()
    return calls


def _in_tf_keras(model):
    import tensorflow_model_optimization as tfmot

    quantize_model = tfmot.quantization.keras.quantize_model
    models = {
        TF_KERAS: to_tf_keras(model),
        # Else tfmot leaves out the weights before a ReLU layer: less work than ours.
        TFMOT: quantize_model(with_fused_relus(to_tf_keras(model))),
    }
    for each in models.values():
        tf_keras_peers.compile_as_peers(each)
    return models
