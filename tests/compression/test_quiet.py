"""What is turned away comes back, when several threads are quiet at once."""

import logging
import os
import threading
import warnings

import pytest

from compression.quiet import quiet


def state():
    found = os.fstat(2)
    levels = [logging.getLogger(name).level for name in ("tensorflow", "absl")]
    return found.st_dev, found.st_ino, levels, list(warnings.filters)


def test_nothing_is_heard_and_all_comes_back(capfd):
    before = state()
    with quiet(), quiet():
        os.write(2, b"of C++")
        warnings.warn("of Python", stacklevel=1)
        assert state() != before
    assert state() == before
    assert capfd.readouterr().err == ""
    with pytest.raises(ZeroDivisionError), quiet():
        1 / 0  # noqa: B018
    assert state() == before


def test_the_last_of_several_threads_puts_all_back():
    """The first to begin is the first to end: each would put back the other's."""
    before = state()
    begun, other_begun = threading.Event(), threading.Event()

    def first():
        with quiet():
            begun.set()
            other_begun.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    begun.wait(10)
    with quiet():
        other_begun.set()
        thread.join()
        assert state() != before  # this one is still quiet
    assert state() == before
