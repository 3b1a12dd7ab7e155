"""Several ways to do the same work, timed in turns.

The speed of a shared machine drifts by a factor of two within minutes. What is timed
in one round meets the same drift, so a ratio is taken round by round.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np


class Spread(NamedTuple):
    """The median of some numbers, between their 10th and their 90th percentile."""

    median: float
    low: float
    high: float


def seconds_in_turns(
    calls: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    burst: int,
    on_round: Callable[[int], None] = lambda number: None,
) -> dict[str, list[float]]:
    """Seconds that a call takes, the mean of a burst, one number a round.

    Before each burst there is an untimed call: the first one finds the data of another
    in the caches, and its threads still spinning. Every second round goes backwards.

    Args:
        calls: name -> what to time; each must be warm already.
        rounds: how many turns each has.
        burst: timed calls in a turn.
        on_round: called with the number of each finished round, from 1.

    Raises:
        ValueError: `rounds` or `burst` is not positive.
    """
    if rounds < 1 or burst < 1:
        raise ValueError(
            f"rounds and burst must be positive, got {rounds} rounds of {burst}"
        )
    seconds = {name: [] for name in calls}
    for number in range(1, rounds + 1):
        for name in list(calls)[:: 1 if number % 2 else -1]:
            calls[name]()
            start = time.perf_counter()
            for _ in range(burst):
                calls[name]()
            seconds[name].append((time.perf_counter() - start) / burst)
        on_round(number)
    return seconds


def spread(numbers: Sequence[float]) -> Spread:
    """Median and spread of `numbers`."""
    low, median, high = np.percentile(numbers, [10, 50, 90])
    return Spread(float(median), float(low), float(high))


def speed_ratio(seconds: Sequence[float], of_peer: Sequence[float]) -> Spread:
    """How many times faster than a peer, round by round; above 1 is faster."""
    return spread([b / a for a, b in zip(seconds, of_peer, strict=True)])
