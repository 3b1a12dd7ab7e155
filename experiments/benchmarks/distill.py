"""Our distiller against Keras's, a PyTorch loop, and training without a teacher.

    limbeck bench distill

ResNet-56 teaches a small AlexNet. All start with the same weights, get the same images
in the same order, and must compute the same loss before any is timed.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from compression.distillation.teacher import TEACHER_LOGITS
from experiments.benchmarks import distill_data, distill_peers, keras_peers, turns
from experiments.benchmarks.progress import rounds_told
from experiments.benchmarks.setting import set_threads, torch_device

ALONE, TEACHER = "student alone", "teacher's forward pass"
LIMBECK, LIMBECK_CACHED = "limbeck", "limbeck, cached"
KERAS, KERAS_HINTS = "keras.distillation", "keras.distillation, hints"
HINTS, HINTS_CACHED = "limbeck, hints", "limbeck, hints, cached"
TORCH, TORCH_CACHED = "PyTorch", "PyTorch, cached"
# Largest difference of the first loss from NumPy's, as a share of it. A cache rounds
# the teacher's outputs to float16.
SAME, SAME_CACHED = 1e-4, 1e-3
ROUNDS, QUICK_ROUNDS = 15, 2
BURST = 2
# No teacher runs: so many times the steps, or a turn would be over in a moment.
LIGHT, MORE_STEPS = (ALONE, LIMBECK_CACHED, HINTS_CACHED, TORCH_CACHED), 4


@dataclass(frozen=True)
class Size:
    """How much is trained on.

    Attributes:
        teacher: name of the net.
        batch: images a step.
        images: in the train split.
        distinct: of them that differ.
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
QUICK = Size("resnet20", batch=8, images=64, distinct=16, steps=1)


class Aim(NamedTuple):
    """What we aim at: a bound on a ratio.

    Attributes:
        text: of the ratio.
        of: the case.
        to: cases whose seconds are added.
        speed: whether the ratio is of speeds (at least `bound`) or of seconds (at
            most `bound`).
        bound: for the median.
    """

    text: str
    of: str
    to: Sequence[str]
    speed: bool
    bound: float


AIMS = (
    Aim(
        "seconds of limbeck / (student alone + teacher's forward pass)",
        LIMBECK,
        (ALONE, TEACHER),
        False,
        1.0,
    ),
    Aim(
        "seconds of limbeck, cached / student alone",
        LIMBECK_CACHED,
        (ALONE,),
        False,
        1.1,
    ),
    Aim(
        "speed of limbeck, cached / keras.distillation",
        LIMBECK_CACHED,
        (KERAS,),
        True,
        3.0,
    ),
)


def run(
    *,
    rounds: int | None = None,
    threads: int | None = None,
    batch: int | None = None,
    quick: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Times all ways to train the student, in turns.

    Args:
        rounds: turns of each.
        threads: of TensorFlow and PyTorch; None leaves them as they are.
        batch: images a step.
        quick: a small teacher and two rounds, to see that everything runs.
        say: told of the progress.

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
        say(f"{size.teacher} looks at {size.distinct} images")
        nets = distill_peers.nets(size.teacher)
        streams = _streams(nets, size, Path(folder))
        say("comparing the losses")
        differences = _differences(nets, streams, device)
        say("building")
        calls = _calls(nets, streams, device)
        steps = {
            case: size.steps * (MORE_STEPS if case in LIGHT else 1) for case in calls
        }
        seconds = turns.seconds_in_turns(
            {case: _repeated(call, steps[case]) for case, call in calls.items()},
            rounds=rounds,
            burst=burst,
            on_round=rounds_told("distill", rounds, say),
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
    with_hints = distill_peers.limbeck(nets, hints=True)  # all that ours compare
    outputs = distill_data.outputs(with_hints.teacher_outputs, data, folder)
    return distill_data.streams(data, outputs, size.batch)


def _keras_models(nets, streams):
    """case -> function that makes the compiled model, and its batches."""
    limbeck, keras_distiller = distill_peers.limbeck, distill_peers.keras_distiller
    return {
        ALONE: (lambda: distill_peers.alone(nets), streams.alone),
        LIMBECK_CACHED: (lambda: limbeck(nets), streams.with_logits),
        LIMBECK: (lambda: limbeck(nets), streams.with_index),
        KERAS: (lambda: keras_distiller(nets), streams.alone),
        HINTS_CACHED: (lambda: limbeck(nets, hints=True), streams.with_features),
        HINTS: (lambda: limbeck(nets, hints=True), streams.with_index),
        KERAS_HINTS: (lambda: keras_distiller(nets, hints=True), streams.alone),
    }


def _torch_calls(nets, streams, device):
    from experiments.benchmarks.torch_distillation import distilling

    inputs, labels = next(iter(streams.with_logits))
    batch, cached = (inputs["image"], labels), inputs[TEACHER_LOGITS]
    return {
        TORCH_CACHED: distilling(nets, batch, device, teacher_logits=cached),
        TORCH: distilling(nets, batch, device),
    }


def _calls(nets, streams, device):
    """case -> warm call that does one step; those that are compared stand together."""
    calls = {}
    for case, (make, batches) in _keras_models(nets, streams).items():
        calls[case] = keras_peers.stepping(make(), batches)
        if case == LIMBECK_CACHED:
            images, _ = next(iter(streams.alone))
            calls[TEACHER] = keras_peers.inference(nets.teacher, images)
    if device:
        calls |= _torch_calls(nets, streams, device)
    for call in calls.values():
        call()
    return calls


def _repeated(call, times):
    def repeated():
        for _ in range(times):
            call()

    return repeated


def _differences(nets, streams, device):
    """case -> how far its first loss is from NumPy's, as a share of it.

    Without dropout, whose masks nobody can share.
    """
    nets = replace(nets, dropout=0.0)
    images, labels = next(iter(streams.alone))
    expected = distill_peers.expected_losses(nets, images, labels)
    first = {
        case: distill_peers.first_loss(make(), next(iter(batches)))
        for case, (make, batches) in _keras_models(nets, streams).items()
    }
    if device:
        first |= {c: call() for c, call in _torch_calls(nets, streams, device).items()}
    differences = {}
    for case, loss in first.items():
        wanted = expected.soft
        if case == ALONE:
            wanted = expected.label
        elif case in (HINTS, HINTS_CACHED, KERAS_HINTS):
            wanted = expected.hints
        cached = case in (LIMBECK_CACHED, HINTS_CACHED, TORCH_CACHED)
        allowed = SAME_CACHED if cached else SAME
        differences[case] = abs(loss - wanted) / wanted
        if not differences[case] <= allowed:
            raise RuntimeError(
                f"{case} does not compute the same loss: {loss:.6f} instead of "
                f"{wanted:.6f}, off by {differences[case]:.1e}, at most {allowed:.0e} "
                "is allowed"
            )
    return differences


def rows(
    seconds: Mapping[str, Sequence[float]],
    differences: Mapping[str, float],
    batch: int,
) -> list[dict[str, Any]]:
    """A row a case: its speed, what it costs, and how it compares with Keras's.

    Args:
        seconds: case -> seconds of a step, one number a round.
        differences: case -> see `_differences`.
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
        peer = KERAS_HINTS if case in (HINTS, HINTS_CACHED) else KERAS
        if case in (LIMBECK, LIMBECK_CACHED, HINTS, HINTS_CACHED, TORCH, TORCH_CACHED):
            row["times_keras"] = turns.speed_ratio(taken, seconds[peer])._asdict()
        if case in differences:
            row["difference"] = differences[case]
        made.append(row)
    return made


def judged(seconds: Mapping[str, Sequence[float]]) -> list[dict[str, Any]]:
    """Each of `AIMS` with its figure, and whether the median meets it."""
    made = []
    for aim in AIMS:
        others = np.sum([seconds[case] for case in aim.to], axis=0)
        pair = (seconds[aim.of], others) if aim.speed else (others, seconds[aim.of])
        ratio = turns.speed_ratio(*pair)
        met = ratio.median >= aim.bound if aim.speed else ratio.median <= aim.bound
        made.append(
            {
                "aim": aim.text,
                "bound": aim.bound,
                "bound_is": "at least" if aim.speed else "at most",
                "ratio": ratio._asdict(),
                "met": bool(met),
            }
        )
    return made
