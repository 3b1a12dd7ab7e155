"""How many cores there are to use."""

import os


def usable_cores() -> int:
    """Cores that this process may run on; where a system does not say, all it has."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1
