"""What a benchmark says while it runs."""

import sys
import time
from collections.abc import Callable

from experiments.training.progress import clock


def rounds_told(
    name: str, rounds: int, say: Callable[[str], None]
) -> Callable[[int], None]:
    """A function of the number of each finished round that says how long is left."""
    start = time.perf_counter()

    def on_round(number):
        left = (time.perf_counter() - start) / number * (rounds - number)
        say(f"{name}: round {number}/{rounds}, {clock(left)} left")

    return on_round


def tell(line: str) -> None:
    """Progress on stderr, on a terminal in one living line that "" wipes away."""
    if sys.stderr.isatty():
        print(f"\r{line}\033[K", end="", file=sys.stderr, flush=True)
    elif line:
        print(line, file=sys.stderr, flush=True)
