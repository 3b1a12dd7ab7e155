"""What a benchmark runs on: threads, devices, versions."""

import importlib.util
import os
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import keras

from experiments.cores import usable_cores

# PyTorch's OpenMP threads wait by spinning. Its default is so long that on a busy
# machine a thread spins while the one that it waits for has no core: with two busy
# processes on two cores, stacked convolutions took 7 to 16 times as long as with few
# spins.
SPINS = "GOMP_SPINCOUNT"
FEW_SPINS = "1000"
WAITS = (SPINS, "OMP_WAIT_POLICY")


def require_benchmarked(only: Iterable[str], known: Collection[str]) -> None:
    """Raises ValueError where a name is none of the known ones; lists these."""
    if unknown := [name for name in only if name not in known]:
        raise ValueError(
            f"no benchmark of {', '.join(map(repr, unknown))}; choose from "
            f"{', '.join(known)}"
        )


def torch_device() -> tuple[str | None, str]:
    """Where PyTorch runs, or None and why it does not."""
    if importlib.util.find_spec("torch") is None:
        return None, "it is not installed: pip install 'limbeck[parity]'"
    if not any(name in os.environ for name in WAITS):
        os.environ[SPINS] = FEW_SPINS  # OpenMP reads it when PyTorch is loaded
    import tensorflow as tf
    import torch

    if not tf.config.list_physical_devices("GPU"):
        return "cpu", ""
    if torch.cuda.is_available():
        return "cuda", ""
    return None, "TensorFlow runs on a GPU here, and PyTorch cannot"


def set_threads(threads: int | None, *, with_torch: bool) -> dict[str, Any]:
    """Give both frameworks that many threads; returns what they run on.

    Raises:
        ValueError: TensorFlow already runs with another number.
    """
    import tensorflow as tf

    threading = tf.config.threading
    if threads is not None:
        try:
            threading.set_intra_op_parallelism_threads(threads)
            threading.set_inter_op_parallelism_threads(threads)
        except RuntimeError as error:
            raise ValueError(
                f"TensorFlow has started with other threads than {threads}: set them "
                "in a new process"
            ) from error
    versions = {"keras": keras.__version__, "tensorflow": tf.__version__}
    if with_torch:
        import torch

        if threads is not None:
            torch.set_num_threads(threads)
        versions["torch"] = torch.__version__
    waits = {name: os.environ[name] for name in WAITS if name in os.environ}
    return {
        "threads": threads,
        "cores": usable_cores(),
        "gpus": len(tf.config.list_physical_devices("GPU")),
        "load_average": os.getloadavg()[0],
        "openmp": waits if with_torch else {},
        "versions": versions,
    }


def in_words(setting: dict[str, Any]) -> Iterator[str]:
    """What `set_threads` returned, as notes below a table."""
    kind = "gpus" if setting["gpus"] else "cores"
    versions = ", ".join(f"{k} {v}" for k, v in setting["versions"].items())
    yield (
        f"Threads of each framework: {setting['threads'] or 'its own choice'}, on "
        f"{setting[kind]} {kind}; load {setting['load_average']:.1f} at the start; "
        f"{versions}; float32, and PyTorch eager, where nothing else is said; without "
        "jit_compile, channels last."
    )
    if setting["openmp"]:
        waits = ", ".join(f"{k}={v}" for k, v in setting["openmp"].items())
        yield (
            f"PyTorch's threads wait with {waits}: long spinning, its default, is fine "
            "on an idle machine and ruinous on a busy one. The environment overrides."
        )
