"""A way to train nets smaller, in a process of its own, whose memory is its alone.

    python -m experiments.benchmarks.compression_process FOLDER JOB

Reads lines with a seed, trains, and answers each with what came of it, as JSON.
"""

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

STATUS = Path("/proc/self/status")


class TrainingProcess:
    """Handle of the process, which ends with the block that it is entered for.

    Args:
        folder: where nets lie and are written.
        job: "case", "method", "engine", "quick", "threads" and "batch", see
            `compression.run`.
    """

    def __init__(self, folder: Path, job: dict[str, Any]):
        self._what = f"{job['method']} by {job['engine']}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(folder), json.dumps(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def train(self, seed: int) -> dict[str, Any]:
        """Trains with that seed.

        Returns:
            "file", the path of what it exported, its "precision", "epoch_seconds" and
            "peak_memory_bytes" so far.

        Raises:
            RuntimeError: the training, or the process, ended in an error.
        """
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{seed}\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else {"error": "its process ended"}
        if "error" in answer:
            raise RuntimeError(f"{self._what}: {answer['error']}")
        return answer


def stage(case, method: str, engine: str, dense: Path):
    """The stage that does the job.

    Args:
        case: a `compression.Case`.
        method: "dense" or one of `compression.METHODS`.
        engine: one of `compression.ENGINES`.
        dense: the trained net, of all but "dense".
    """
    from experiments.benchmarks import compression
    from experiments.stages.base import Export
    from experiments.stages.cluster import Cluster
    from experiments.stages.file import File
    from experiments.stages.net import Net
    from experiments.stages.prune import Prune
    from experiments.stages.quantize_aware import QuantizeAware
    from experiments.stages.tfmot import TfmotCluster, TfmotPrune, TfmotQuantize
    from experiments.stages.train import Train
    from experiments.training.settings import Training

    options = {"batch_size": case.batch_size, "keep": "last"}
    as_float = (Export("litert"),)
    if method == compression.DENSE:
        training = Training(case.dense, learning_rate=2e-3, **options)
        return Train(method, Net(case.net, case.options), training, exports=as_float)
    ours = engine == compression.LIMBECK
    training = Training(case.epochs, learning_rate=1e-3, **options)
    begun = (method, File(str(dense)), training)
    if method == "prune":
        kind = Prune if ours else TfmotPrune
        return kind(*begun, sparsity=compression.SPARSITY, exports=as_float)
    if method == "cluster":
        how = {"clusters": compression.CLUSTERS, "initialisation": "kmeans++"}
        if ours:  # as tfmot does always
            return Cluster(*begun, **how, reassign=True, exports=as_float)
        return TfmotCluster(*begun, **how, exports=as_float)
    return (QuantizeAware if ours else TfmotQuantize)(*begun)


def peak_memory() -> int:
    """The most memory that this process has had, in bytes.

    `ru_maxrss` would not do: a process inherits that of the one that started it.
    """
    for line in STATUS.read_text().splitlines():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"{STATUS} says nothing of the peak memory")


def _trained(folder, job, case, data, seed):
    import keras

    from experiments.benchmarks.compression import DENSE
    from experiments.stages.one import check_one, run_one

    keras.backend.clear_session()
    method, engine = job["method"], job["engine"]
    dense = folder / f"{DENSE}-{seed}" / "model.keras"
    made = stage(case, method, engine, dense)
    home = folder / (
        f"{DENSE}-{seed}" if method == DENSE else f"{method}-{engine}-{seed}"
    )
    check_one(made, data, case.augment)
    about = run_one(made, data, home, seed=seed, augment=case.augment)
    [form] = made.exports
    return {
        "file": str(home / f"model.{form.precision}.tflite"),
        "precision": form.precision,
        "epoch_seconds": data.train.size / about["images_per_second"],
        "peak_memory_bytes": peak_memory(),
    }


def _main(folder, job):
    import dataclasses

    from experiments.benchmarks import compression
    from experiments.benchmarks.setting import set_threads

    set_threads(job["threads"], with_torch=False)
    case = (compression.QUICK if job["quick"] else compression.CASES)[job["case"]]
    if job["batch"]:
        case = dataclasses.replace(case, batch_size=job["batch"])
    data = case.loaded()
    answers = sys.stdout
    for line in sys.stdin:
        try:
            with contextlib.redirect_stdout(sys.stderr):
                answer = _trained(folder, job, case, data, int(line))
        except Exception as error:  # told where somebody can read it
            answer = {
                "error": f"{type(error).__name__}: {' '.join(str(error).split())}"
            }
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), json.loads(sys.argv[2]))
