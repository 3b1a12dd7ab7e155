"""What an export logs of a file's agreement with its model, shown on stderr."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def agreement_on_stderr() -> Iterator[None]:
    """How far an integer file agrees with its model is logged: show it."""
    log, handler = logging.getLogger("compression.export"), logging.StreamHandler()
    handler.setFormatter(logging.Formatter("limbeck: %(message)s"))
    level, propagate = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False  # some library has a handler of its own at the root
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        log.propagate = propagate
