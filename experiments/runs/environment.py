"""What a run depends on beside its recipe: versions, machine, commit, command."""

import contextlib
import os
import platform
import resource
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any


def environment(command: str) -> dict[str, Any]:
    """What a run depends on beside its recipe: versions, machine, commit, command.

    With the peak memory of this process so far, in bytes.
    """
    import tensorflow as tf

    packages = ("limbeck", "keras", "tensorflow", "ai-edge-litert", "numpy")
    gpus = tf.config.list_physical_devices("GPU")
    return {
        "command": command,
        **{package.replace("-", "_"): version(package) for package in packages},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "threads": len(os.sched_getaffinity(0)),
        "device": f"{len(gpus)} GPU" if gpus else "CPU",
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        **_commit(),
    }


def _cpu():
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def _commit():
    """Commit of the checkout that this code runs from, and whether it is clean."""
    here = Path(__file__).parent

    def git(*words):
        return subprocess.run(
            ["git", "-C", here, *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return {
            "commit": git("rev-parse", "HEAD"),
            "clean": not git("status", "--porcelain"),
        }
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "clean": None}
