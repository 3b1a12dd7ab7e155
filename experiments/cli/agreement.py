"""What an export logs of a file's agreement with its model, shown on stderr."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def agreement_on_stderr() -> Iterator[None]:
    """How far an integer file agrees with its model is logged: show it."""
    log, handler = logging.getLogger("compression.export"), logging.StreamHandler()
    handler.setFormatter(logging.Formatter("limbeck: %(message)s"))
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
