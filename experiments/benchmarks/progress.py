"""The progress of a benchmark, on stderr."""

import sys
import time
from collections.abc import Callable

from experiments.training.progress import clock


def log_rounds(
    name: str, rounds: int, log: Callable[[str], None]
) -> Callable[[int], None]:
    """A function of the number of each finished round that logs how long is left."""
    start = time.perf_counter()

    def on_round(number):
        left = (time.perf_counter() - start) / number * (rounds - number)
        log(f"{name}: round {number}/{rounds}, {clock(left)} left")

    return on_round


def report_progress(line: str) -> None:
    """Print a line; on a terminal each replaces the one before, and "" removes it."""
    if sys.stderr.isatty():
        print(f"\r{line}\033[K", end="", file=sys.stderr, flush=True)
    elif line:
        print(line, file=sys.stderr, flush=True)
