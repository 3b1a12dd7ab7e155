"""How long one image takes, several models timed in turn in one run."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from compression.arguments import require_number, shown
from compression.export.runners import Runner
from compression.measure.scores import at_size, runner_of

WARM_UP_CALLS = 5
BURST = 5  # calls in a row: the first of them finds the other models in the caches
ENOUGH_CALLS = 200  # the same for all: a percentile is one of as many
TOO_MANY_SECONDS = 2.0


class Latency(NamedTuple):
    """Milliseconds for a call with one image.

    `median_ms` lies between the 10th percentile `low_ms` and the 90th `high_ms` of
    `calls` calls.
    """

    median_ms: float
    low_ms: float
    high_ms: float
    calls: int


def latencies(
    named: Mapping[str, keras.Model | Runner | str | Path],
    *,
    threads: int = 1,
    rounds: int | None = None,
    image_size: int | tuple[int, int] | None = None,
) -> dict[str, Latency]:
    """Times models and files in turn, a burst of five calls each, round after round.

    Clocks of shared machines drift by a factor of two within minutes. All models of
    one call meet the same drift, so the ratio between them is worth more than either.

    Args:
        named: name -> model or exported file.
        threads: that LiteRT may use.
        rounds: how many; None stops when each has had 200 calls or 2 seconds.
        image_size: side, or (height, width), for models that leave it open.

    Raises:
        ValueError: `named` has no names; `rounds` is not positive; a model leaves its
            image size open and none is given, or takes images of another size.
    """
    if not isinstance(named, Mapping):
        raise ValueError(
            'latencies takes models by name, as in {"net": model}, got '
            f"{shown(named)}"
        )
    if rounds is not None:
        require_number("rounds", rounds, whole=True)
    if rounds is not None and rounds < 1:
        raise ValueError(f"rounds must be positive, got {rounds}")
    calls = {
        name: _one_image_call(at_size(runner_of(model, threads=threads), image_size))
        for name, model in named.items()
    }
    for call in calls.values():
        for _ in range(WARM_UP_CALLS):
            call()
    seconds = {name: [] for name in calls}
    done = 0
    while done < rounds if rounds else not all(map(_enough, seconds.values())):
        for name, call in calls.items():
            for _ in range(BURST):
                start = time.perf_counter()
                call()
                seconds[name].append(time.perf_counter() - start)
        done += 1
    return {name: _summary(times) for name, times in seconds.items()}


def _enough(times):
    return len(times) >= ENOUGH_CALLS or sum(times) >= TOO_MANY_SECONDS


def _one_image_call(runner):
    """The bare call, without the checks and the cutting of `Runner.__call__`.

    A file with a fixed batch runs that batch, which is what one image costs there.
    """
    shape = (runner.batch or 1, *runner.input_shape)
    images = np.random.default_rng(0).normal(size=shape)
    images = images.astype(np.float32)
    return lambda: np.asarray(runner.run(images))


def _summary(times):
    low, median, high = 1e3 * np.percentile(times, [10, 50, 90])
    return Latency(float(median), float(low), float(high), len(times))
