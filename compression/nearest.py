"""A name that nobody knows, and the nearest one that is known."""

import difflib
from collections.abc import Iterable

CUTOFF = 0.7  # how alike they must be, from 0 to 1, as `difflib` measures it


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """What to put behind an unknown name: " (did you mean resnet20?)", or nothing."""
    lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), lower, n=1, cutoff=CUTOFF)
    return f" (did you mean {lower[close[0]]}?)" if close else ""
