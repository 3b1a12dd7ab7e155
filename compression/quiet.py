"""Keeps the chatter of TensorFlow's C++ away from the terminal."""

import faulthandler
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing reaches the process's standard error, Python's warnings included.

    Converter and interpreter write to file descriptor 2 past `sys.stderr`, so the
    descriptor itself is turned away; other threads' messages go the same way while
    the block runs. Exceptions pass, and so does the trace of a crash in C++, which
    would otherwise end the process without a word.

    All threads share one silence: it begins with the first block and ends with the
    last one, whatever their order.
    """
    _shared.begin()
    try:
        yield
    finally:
        _shared.end()


class _Shared:
    """How many blocks there are now, and what the last one puts back."""

    def __init__(self):
        self._lock = threading.Lock()
        self._blocks = 0
        self._silence = ExitStack()

    def begin(self) -> None:
        with self._lock:
            if not self._blocks:
                self._silence.enter_context(_silence())
            self._blocks += 1

    def end(self) -> None:
        with self._lock:
            self._blocks -= 1
            if not self._blocks:
                self._silence.close()


_shared = _Shared()


@contextmanager
def _silence():
    loggers = [logging.getLogger(name) for name in ("tensorflow", "absl")]
    levels = [logger.level for logger in loggers]
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    watched = faulthandler.is_enabled()
    if not watched:
        faulthandler.enable(kept)
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.stderr.flush()
        if not watched:
            faulthandler.disable()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
