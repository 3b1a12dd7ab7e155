"""What a run depends on beside its recipe: versions, machine, commit, command."""

import contextlib
import platform
import resource
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from experiments.cores import usable_cores

PACKAGES = ("limbeck", "keras", "tensorflow", "ai-edge-litert", "numpy")


def environment(command: str) -> dict[str, Any]:
    """What a run depends on beside its recipe: versions, machine, commit, command."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return {
        "command": command,
        **{package.replace("-", "_"): version(package) for package in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "threads": usable_cores(),
        "device": f"{len(gpus)} GPU" if gpus else "CPU",
        **_commit(),
    }


def peak_memory() -> dict[str, int]:
    """Of this process so far, in bytes, as an environment has it."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"peak_memory_bytes": kilobytes * 1024}


def differences(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """What moves a run's bits and is not the same in two environments, in words."""
    keys = [package.replace("-", "_") for package in PACKAGES]
    return [
        f"{key} {there[key]} there, {here.get(key)} here"
        for key in (*keys, "python", "cpu", "threads", "device", "commit")
        if key in there and there[key] != here.get(key)
    ]


def _cpu():
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def _commit():
    """Commit of the checkout that this code is part of, and whether it is clean."""
    here = Path(__file__).parent

    def git(*words):
        return subprocess.run(
            ["git", "-C", here, *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        # Installed inside another project's checkout: its commit says nothing of ours.
        git("ls-files", "--error-unmatch", Path(__file__).name)
        return {
            "commit": git("rev-parse", "HEAD"),
            "clean": not git("status", "--porcelain"),
        }
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "clean": None}
