"""A name that nobody knows, and the nearest one that is known."""

from collections.abc import Iterable
from difflib import SequenceMatcher
from os.path import commonprefix

ALIKE = 0.7  # of two names, from 0 to 1, that may be one misspelt


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """What to put behind an unknown name: " (did you mean resnet20?)", or nothing."""
    nearest = max(known, key=lambda name: _likeness(word, name), default="")
    alike = _likeness(word, nearest)[0] >= ALIKE
    return f" (did you mean {nearest}?)" if alike and nearest != word else ""


def _likeness(word, name):
    """Of equal ratios the names that begin alike are more so."""
    pair = word.lower(), name.lower()
    return SequenceMatcher(None, *pair).ratio(), len(commonprefix(pair))
