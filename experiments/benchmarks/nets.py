"""Our nets against the same nets in PyTorch and with Keras's own layers.

    limbeck bench nets

Training and inference on one batch of random pixels. All peers of a net start with the
same weights and must give the same numbers before any is timed. Training is timed in
bfloat16, too, and with several steps from one launch: see `faster_training`.
"""

import copy
import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

import architectures
from compression.one_line import in_one_line
from experiments.benchmarks import faster_training, keras_peers, turns
from experiments.benchmarks.faster_training import OURS, TORCH
from experiments.benchmarks.progress import log_rounds
from experiments.benchmarks.setting import (
    require_benchmarked,
    set_threads,
    torch_device,
)

PLAIN = "plain Keras"
# Largest difference of logits, or of the first loss, over the largest of ours.
SAME = {PLAIN: 1e-5, TORCH: 1e-4} | faster_training.SAME
ROUNDS, QUICK_ROUNDS = 15, 2
WARM_UP_CALLS = 3


@dataclass(frozen=True)
class Case:
    """What is timed.

    Attributes:
        task: "training" or "inference".
        side: of the images, pixels.
        batch: images in a call.
        least_side: of the images with `--quick`; its batch is 2.
        pixels: standard deviation of the pixels.
    """

    task: str
    side: int
    batch: int
    least_side: int
    pixels: float


# Raw pixels, not normalised ones, are what response normalisation acts on.
CASES = {
    "resnet20": Case("training", 32, 128, least_side=8, pixels=1.0),
    "alexnet": Case("inference", 227, 8, least_side=67, pixels=50.0),
    "alexnet_owt": Case("inference", 224, 8, least_side=63, pixels=1.0),
    "googlenet": Case("inference", 224, 8, least_side=32, pixels=50.0),
    "googlenet_bn": Case("inference", 224, 8, least_side=32, pixels=1.0),
}
BURSTS = {"training": 2, "inference": 4}


def run(
    only: Sequence[str] | None = None,
    *,
    rounds: int | None = None,
    threads: int | None = None,
    batch: int | None = None,
    quick: bool = False,
    log: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Time the nets one after the other, the peers of each in turns.

    Args:
        only: names from `CASES`; None: all of them.
        rounds: turns of each peer.
        threads: of TensorFlow and PyTorch; None leaves them as they are.
        batch: images in a call, instead of each case's own.
        quick: small images and two rounds, to see that everything runs.
        log: called with each line of progress.

    Raises:
        ValueError: there is no such case, or the number of threads can no longer be
            changed.
        RuntimeError: two peers do not compute the same.
    """
    only = list(CASES) if only is None else list(only)
    require_benchmarked(only, CASES)
    rounds = rounds or (QUICK_ROUNDS if quick else ROUNDS)
    device, why_not = torch_device()
    setting = set_threads(threads, with_torch=device is not None)
    skipped = {} if device else {TORCH: why_not}
    results = []
    for name in only:
        case = CASES[name]
        side = case.least_side if quick else case.side
        size = batch or (2 if quick else case.batch)
        log(f"{name}: {case.task} of {size} images of {side} px, building")
        calls, checked = _calls(name, case, side, size, device, skipped)
        burst = 1 if quick else BURSTS[case.task]
        seconds = turns.seconds_in_turns(
            calls, rounds=rounds, burst=burst, on_round=log_rounds(name, rounds, log)
        )
        seconds = {
            peer: [s / faster_training.STEPS.get(peer, 1) for s in taken]
            for peer, taken in seconds.items()
        }
        peers = _peers(seconds, checked, size)
        about = {"net": name, "task": case.task, "side": side, "batch": size}
        timed = {"burst": burst, "peers": peers}
        if case.task == "training" and (best := faster_training.fastest(seconds)):
            timed["fastest"] = best
        results.append(about | timed)
        del calls
        gc.collect()  # AlexNet's weights, three times
    return {
        "benchmark": "nets",
        "rounds": rounds,
        "quick": quick,
        "setting": setting,
        "skipped": skipped,
        "results": results,
    }


def _calls(name, case, side, batch, device, skipped):  # noqa: PLR0913
    """peer -> warm call, and peer -> how far its first output is from ours."""

    def build():
        return architectures.build(name, input_shape=(side, side, 3))

    keras.utils.set_random_seed(0)
    model = build()
    random = np.random.default_rng(0)
    keras_peers.randomize_batch_norm(model, random)
    images = case.pixels * random.normal(size=(batch, side, side, 3))
    images = images.astype("float32")
    labels = random.integers(0, model.output_shape[-1], batch)
    batch_of_task = (images, labels) if case.task == "training" else (images,)

    nets = {OURS: model, PLAIN: keras_peers.plain(model)}
    inference = {
        peer: keras_peers.inference(net, images) for peer, net in nets.items() if net
    }
    make = getattr(keras_peers, case.task)
    calls = {peer: make(net, *batch_of_task) for peer, net in nets.items() if net}
    if case.task == "training":
        calls |= faster_training.calls(build, model, *batch_of_task)
    if device:
        from experiments.benchmarks import torch_peers

        net = torch_peers.twin(model, device)
        inference[TORCH] = torch_peers.inference(net, images, device)
    logits = {peer: call() for peer, call in inference.items()}
    if device:  # after its inference: it switches the net to training
        if case.task == "training":
            half, own = copy.deepcopy(net), torch_peers.compiled(copy.deepcopy(net))
            calls |= {
                faster_training.TORCH_HALF: torch_peers.training(
                    half, *batch_of_task, device, bfloat16=True
                ),
                faster_training.TORCH_COMPILED: torch_peers.training(
                    own, *batch_of_task, device
                ),
            }
        calls[TORCH] = getattr(torch_peers, case.task)(net, *batch_of_task, device)
    differences = _differences(name, logits)
    first = _first_outputs(name, calls, skipped)
    for peer, off in _differences(name, first).items():
        differences[peer] = max(off, differences.get(peer, 0.0))
    for call in calls.values():
        for _ in range(WARM_UP_CALLS):
            call()
    return calls, differences


def _first_outputs(name, calls, skipped):
    first = {}
    for peer, call in list(calls.items()):
        try:
            first[peer] = np.asarray(call())
        except Exception as error:  # of a compiler that is not there, or too old
            if peer != faster_training.TORCH_COMPILED:
                raise
            skipped[f"{peer}, {name}"] = in_one_line(error)
            del calls[peer]
    if (launched := faster_training.LAUNCHED) in first:
        later = [calls[OURS]() for _ in range(faster_training.LAUNCH - 1)]
        # Both are means since the first step; as a share of the first loss.
        first[launched] = first[OURS] + (first[launched] - later[-1])
    return first


def _differences(name, outputs):
    ours = outputs[OURS]
    differences = {}
    for peer, theirs in outputs.items():
        if peer == OURS:
            continue
        differences[peer] = float(abs(theirs - ours).max() / abs(ours).max())
        if not differences[peer] <= SAME[peer]:
            raise RuntimeError(
                f"{name}: {peer} does not compute the same: off by "
                f"{differences[peer]:.1e}, at most {SAME[peer]:.0e} is allowed"
            )
    return differences


def _peers(seconds, differences, batch):
    """A row a peer: images a second, and how many times as fast as each other peer."""
    rows = []
    for peer, taken in seconds.items():
        rates = turns.spread([batch / s for s in taken])._asdict()
        ratios = {
            f"times_{key}": turns.speed_ratio(taken, seconds[other])._asdict()
            for key, other in (("pytorch", TORCH), ("plain_keras", PLAIN))
            if other in seconds and other != peer
        }
        off = {"difference": differences[peer]} if peer in differences else {}
        rows.append({"peer": peer, "images_per_second": rates} | ratios | off)
    return rows
