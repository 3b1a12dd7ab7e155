"""The strategies of TensorFlow by which several devices or machines train one net."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from compression.quiet import quiet

if TYPE_CHECKING:
    import tensorflow as tf

MIRRORED, MULTIWORKER = "mirrored", "multiworker"
CLUSTER = "TF_CONFIG"


class Worker(NamedTuple):
    """One of the processes that train together; the chief, number 0, writes files."""

    index: int
    count: int

    @property
    def is_chief(self) -> bool:
        return self.index == 0


def made(name: str) -> "tf.distribute.Strategy":
    """The strategy of that name; to be made before TensorFlow computes anything.

    Args:
        name: "mirrored": all GPUs of this machine; "mirrored:N": N of them or, where
            there is no GPU, N virtual devices on the CPU, to try it out;
            "multiworker": the processes that TF_CONFIG names.

    Raises:
        ValueError: there is no such strategy, or it needs what is not here.
    """
    kind, colon, number = name.partition(":")
    if name == MULTIWORKER:
        return _multiworker()
    if kind != MIRRORED or (colon and not number.isdecimal()):
        raise ValueError(
            f"no strategy called {name!r}; choose {MIRRORED}, {MIRRORED}:N for N "
            f"devices, or {MULTIWORKER}"
        )
    return _mirrored(int(number) if colon else None)


def worker(strategy: "tf.distribute.Strategy | None" = None) -> Worker:
    """This process among those of a strategy; None: of that in whose scope it is."""
    import tensorflow as tf

    cluster = (strategy or tf.distribute.get_strategy()).cluster_resolver
    if cluster is None or not cluster.cluster_spec():
        return Worker(0, 1)
    return Worker(cluster.task_id, len(cluster.cluster_spec().as_dict()["worker"]))


def from_chief(strategy: "tf.distribute.Strategy | None", value: float = 0) -> float:
    """What the chief gives here: all workers wait until each of them is here."""
    if strategy is None:
        return value
    given = value if worker(strategy).is_chief else 0.0
    return float(mean(strategy, np.float32(given))) * worker(strategy).count


def mean(strategy: "tf.distribute.Strategy", value: np.ndarray) -> np.ndarray:
    """The mean of what each worker gives, in float32."""
    import tensorflow as tf

    with quiet():  # TensorFlow says that this is slow
        of_each = strategy.run(tf.constant, args=(value, tf.float32))
        return strategy.reduce("MEAN", of_each, axis=None).numpy()


@contextmanager
def all_at_work(strategy: "tf.distribute.Strategy | None") -> Iterator[None]:
    """Within it a worker that has ended ends the others.

    Raises:
        ConnectionError: one has ended.
    """
    import tensorflow as tf

    errors = tf.errors
    try:
        yield
    except (
        errors.AbortedError,
        errors.CancelledError,
        errors.DeadlineExceededError,
        errors.InternalError,
        errors.UnavailableError,
    ) as error:
        if strategy is None or worker(strategy).count == 1:
            raise
        raise ConnectionError(
            "another worker has ended; start all of them again: they go on from the "
            "last whole epoch"
        ) from error


@contextmanager
def chief_first(strategy: "tf.distribute.Strategy | None") -> Iterator[None]:
    """The chief goes through the block first, then those that share its files."""
    if strategy is None or worker(strategy).count == 1:
        yield
    elif worker(strategy).is_chief:
        yield
        from_chief(strategy)
    else:
        from_chief(strategy)
        yield


def _mirrored(count):
    import tensorflow as tf

    gpus = len(tf.config.list_physical_devices("GPU"))
    if count is None and not gpus:
        raise ValueError(
            f"{MIRRORED} takes all GPUs, and TensorFlow sees none; {MIRRORED}:2 tries "
            "it on two virtual devices of the CPU"
        )
    if count == 0 or (gpus and count is not None and count > gpus):
        raise ValueError(
            f"{MIRRORED}:{count} asks for {count} devices; there are {gpus or 1}"
        )
    if gpus:
        devices = [f"GPU:{i}" for i in range(count or gpus)]
        return tf.distribute.MirroredStrategy(devices)
    [cpu, *_] = tf.config.list_physical_devices("CPU")
    virtual = [tf.config.LogicalDeviceConfiguration()] * count
    try:
        tf.config.set_logical_device_configuration(cpu, virtual)
    except RuntimeError as error:
        raise ValueError(
            f"{MIRRORED}:{count} comes too late: TensorFlow computes on one CPU already"
        ) from error
    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(count)])


def _multiworker():
    import tensorflow as tf

    try:
        cluster = json.loads(os.environ[CLUSTER])
        workers, task = cluster["cluster"]["worker"], cluster["task"]
        known = task["type"] == "worker" and 0 <= int(task["index"]) < len(workers)
    except (KeyError, TypeError, ValueError):
        known = False
    if not known:
        raise ValueError(
            f"{MULTIWORKER} needs the environment variable {CLUSTER}, which names all "
            'workers and this one: {"cluster": {"worker": ["host1:port", "host2:port"]}'
            ', "task": {"type": "worker", "index": 0}}'
        )
    return tf.distribute.MultiWorkerMirroredStrategy()
