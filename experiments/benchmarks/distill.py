"""Our distiller against Keras's, a PyTorch loop, and training without a teacher.

    limbeck bench distill

ResNet-56 teaches a small AlexNet. All start with the same weights, get the same images
in the same order, and must compute the same loss before any is timed.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from experiments.benchmarks import distill_data, distill_losses, distill_peers, turns
from experiments.benchmarks.distill_aims import judged
from experiments.benchmarks.distill_cases import (
    ALONE,
    CACHED,
    KERAS,
    KERAS_HINTS,
    TEACHER,
    TORCH,
    WITH_HINTS,
    warm_calls,
)
from experiments.benchmarks.progress import log_rounds
from experiments.benchmarks.setting import set_threads, torch_device

ROUNDS, QUICK_ROUNDS = 15, 2
BURST = 2
# Without a teacher's pass so many times the steps, or a turn would be over in a moment.
LIGHT, MORE_STEPS = (ALONE, *CACHED), 4


@dataclass(frozen=True)
class Size:
    """How much is trained on.

    Attributes:
        teacher: name of the net.
        batch: images a step.
        images: in the train split.
        distinct: how many of them differ.
        steps: in a call with a teacher. What tf.data has prepared while others had
            their turn is used up in the untimed call before each turn.
    """

    teacher: str
    batch: int
    images: int
    distinct: int
    steps: int


# As many as CIFAR-10 has: its features then stay in the memory map, as in a recipe.
SIZE = Size("resnet56", batch=128, images=50_000, distinct=1_250, steps=5)
QUICK = Size("alexnet_small", batch=8, images=64, distinct=16, steps=1)


def run(
    *,
    rounds: int | None = None,
    threads: int | None = None,
    batch: int | None = None,
    quick: bool = False,
    log: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Time all ways to train the student, in turns.

    Args:
        rounds: turns of each.
        threads: of TensorFlow and PyTorch; None leaves them as they are.
        batch: images a step.
        quick: a small teacher and two rounds, to see that everything runs.
        log: called with each line of progress.

    Raises:
        ValueError: the number of threads can no longer be changed.
        RuntimeError: two of them do not compute the same loss.
    """
    size = QUICK if quick else SIZE
    if batch:
        size = replace(size, batch=batch, images=max(size.images, batch))
    rounds = rounds or (QUICK_ROUNDS if quick else ROUNDS)
    burst = 1 if quick else BURST
    device, why_not = torch_device()
    setting = set_threads(threads, with_torch=device is not None)
    with tempfile.TemporaryDirectory(prefix="limbeck-bench-") as folder:
        log(f"{size.teacher} computes its outputs for {size.distinct} images")
        nets = distill_peers.nets(size.teacher)
        streams = _streams(nets, size, Path(folder))
        log("comparing the losses")
        differences = distill_losses.differences(nets, streams, device)
        log("building")
        calls = warm_calls(nets, streams, device)
        steps = {
            case: size.steps * (MORE_STEPS if case in LIGHT else 1) for case in calls
        }
        seconds = turns.seconds_in_turns(
            {case: _repeated(call, steps[case]) for case, call in calls.items()},
            rounds=rounds,
            burst=burst,
            on_round=log_rounds("distill", rounds, log),
        )
    seconds = {
        case: [s / steps[case] for s in taken] for case, taken in seconds.items()
    }
    return {
        "benchmark": "distill",
        "teacher": size.teacher,
        "student": nets.student.name,
        "student_weights": nets.student.count_params(),
        "batch": size.batch,
        "images": size.images,
        "rounds": rounds,
        "steps": {case: count * burst for case, count in steps.items()},
        "quick": quick,
        "setting": setting,
        "skipped": {} if device else {TORCH: why_not},
        "results": rows(seconds, differences, size.batch),
        "aims": judged(seconds),
    }


def _streams(nets, size, folder):
    data = distill_data.random_data(size.images, size.distinct)
    distiller = distill_peers.limbeck(nets, hints=True)  # needs all that any case needs
    outputs = distill_data.outputs(distiller.teacher_outputs, data, folder)
    return distill_data.streams(data, outputs, size.batch)


def _repeated(call, times):
    def repeated():
        for _ in range(times):
            call()

    return repeated


def rows(
    seconds: Mapping[str, Sequence[float]],
    differences: Mapping[str, float],
    batch: int,
) -> list[dict[str, Any]]:
    """A row a case: its speed, what it costs, and how it compares with Keras's.

    Args:
        seconds: case -> seconds of a step, one number a round.
        differences: case -> see `distill_losses.differences`.
        batch: images a step.
    """
    made = []
    for case, taken in seconds.items():
        row = {
            "case": case,
            "seconds": list(taken),
            "images_per_second": turns.spread([batch / s for s in taken])._asdict(),
            "cost_of_student": turns.speed_ratio(seconds[ALONE], taken)._asdict(),
        }
        peer = KERAS_HINTS if case in WITH_HINTS else KERAS
        if case not in (ALONE, TEACHER, KERAS, KERAS_HINTS):
            row["times_keras"] = turns.speed_ratio(taken, seconds[peer])._asdict()
        if case in differences:
            row["difference"] = differences[case]
        made.append(row)
    return made
