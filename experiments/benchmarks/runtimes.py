"""One image in every runtime that a net can be handed to.

    limbeck bench runtimes

LiteRT's files in four precisions, Keras itself, and where they are installed ONNX
Runtime and PyTorch: all of them, with one thread and with two, in turns in one run.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

import architectures
from compression import export, measure
from compression.one_line import in_one_line
from experiments.benchmarks import onnx_peers, turns
from experiments.benchmarks.keras_peers import randomize_batch_norm
from experiments.benchmarks.keras_process import KerasProcess
from experiments.benchmarks.progress import log_rounds
from experiments.benchmarks.setting import (
    require_benchmarked,
    set_threads,
    torch_device,
)

NETS, QUICK_NETS = (
    ("resnet20", "resnet56", "alexnet_small", "vgg16_cifar"),
    ("alexnet_small",),
)
THREADS = (1, 2)
PRECISIONS = ("float32", "float16", "dynamic", "int8")
LITERT, ONNX, TORCH = "LiteRT", "ONNX Runtime", "PyTorch"
FLOAT, OURS = f"{LITERT} float32", f"{LITERT} int8"
KERAS_CALLS = ("predict", "predict_on_batch")
ROUNDS, QUICK_ROUNDS = 40, 2
BURST = 5
CALIBRATION = 32  # images of noise: they change no millisecond
SAME = 1e-3  # relative to the largest logit, of what computes in float32


def run(
    only: Sequence[str] | None = None,
    *,
    rounds: int | None = None,
    quick: bool = False,
    log: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Time the nets one after the other, all runtimes of each in turns.

    Args:
        only: some of `NETS`; None: all.
        rounds: turns of each runtime.
        quick: one small net and two rounds, to see that everything runs.
        log: called with each line of progress.

    Raises:
        ValueError: there is no such net.
        RuntimeError: a runtime does not compute what the net does.
    """
    require_benchmarked(only or (), NETS)
    nets = list(only or (QUICK_NETS if quick else NETS))
    rounds = rounds or (QUICK_ROUNDS if quick else ROUNDS)
    device, why_not = torch_device()
    setting = set_threads(None, with_torch=device is not None)
    skipped = {} if device else {TORCH: why_not}
    if why := onnx_peers.missing():
        skipped[ONNX] = why
    else:
        setting["versions"] |= onnx_peers.versions()
    rows = []
    log("starting Keras with one thread and with two")
    processes = {threads: KerasProcess(threads) for threads in THREADS}
    try:
        for name in nets:
            with tempfile.TemporaryDirectory(prefix="limbeck-bench-") as folder:
                log(f"{name}: writing files")
                net = _Net(name, Path(folder), processes, device, skipped, quick)
                seconds = turns.seconds_in_turns(
                    net.calls,
                    rounds=rounds,
                    burst=1 if quick else BURST,
                    on_round=log_rounds(name, rounds, log),
                )
                rows += _rows(name, seconds, net.bytes)
                del net
    finally:
        for process in processes.values():
            process.close()
    return {
        "benchmark": "runtimes",
        "rounds": rounds,
        "quick": quick,
        "setting": setting,
        "skipped": skipped,
        "results": rows,
    }


class _Net:
    """A net in each runtime: warm calls of one image, by (runtime, threads)."""

    def __init__(self, name, folder, processes, device, skipped, quick):  # noqa: PLR0913
        keras.utils.set_random_seed(0)
        options = {"width": 0.25} if quick else {}
        self.model = architectures.build(
            name, input_shape=(32, 32, 3), classes=10, **options
        )
        random = np.random.default_rng(0)
        randomize_batch_norm(self.model, random)
        shape = (CALIBRATION, 32, 32, 3)
        self.noise = random.normal(size=shape).astype("float32")
        self.image = self.noise[:1]
        self.expected = self.model.predict_on_batch(self.image)
        self.calls, self.bytes = {}, {}
        self._add_litert(folder)
        self._add_keras(folder, processes)
        if ONNX not in skipped:
            self._add_onnx(folder)
        if TORCH not in skipped:
            self._add_torch(device, skipped)
        for (runtime, _), call in self.calls.items():
            self._check(runtime, call())

    def _add_litert(self, folder):
        for precision in PRECISIONS:
            path = export.litert(
                self.model,
                folder / f"{precision}.tflite",
                precision=precision,
                calibration=[self.noise] if precision == "int8" else None,
            )
            runtime = f"{LITERT} {precision}"
            self.bytes[runtime] = measure.size(path)
            for threads in THREADS:
                runner = export.load(path, threads=threads)
                self.calls[runtime, threads] = lambda r=runner: r.run(self.image)

    def _add_keras(self, folder, processes):
        path = folder / "net.keras"
        self.model.save(path)
        np.save(folder / "image.npy", self.image)
        for threads, process in processes.items():
            process.load(path, folder / "image.npy")
            for call in KERAS_CALLS:
                run = lambda p=process, c=call: p.call(c)  # noqa: E731
                self.calls[f"Keras {call}", threads] = run

    def _add_onnx(self, folder):
        for precision, path in onnx_peers.written(
            self.model, folder, self.noise
        ).items():
            runtime = f"{ONNX} {precision}"
            self.bytes[runtime] = measure.size(path)
            for threads in THREADS:
                call = onnx_peers.inference(path, self.image, threads)
                self.calls[runtime, threads] = call

    def _add_torch(self, device, skipped):
        from experiments.benchmarks import torch_peers

        try:
            net = torch_peers.twin(self.model, device)
        except ValueError as error:
            skipped[f"{TORCH} of {self.model.name}"] = str(error)
            return
        for kind, of_kind in (("eager", net), ("compiled", torch_peers.compiled(net))):
            call = torch_peers.inference(of_kind, self.image, device)
            calls = {
                (f"{TORCH} {kind}", threads): torch_peers.with_threads(call, threads)
                for threads in THREADS
            }
            try:
                for each in calls.values():
                    each()
            except Exception as error:  # of a compiler that is not there, or too old
                skipped[f"{TORCH} {kind}, {self.model.name}"] = in_one_line(error)
                continue
            self.calls |= calls

    def _check(self, runtime, logits):
        if logits is None:  # computed in another process
            return
        off = float(np.abs(logits - self.expected).max() / np.abs(self.expected).max())
        exact = "float32" in runtime or TORCH in runtime
        if not np.isfinite(logits).all() or (exact and not off <= SAME):
            raise RuntimeError(
                f"{self.model.name}: {runtime} does not compute the same: off by "
                f"{off:.1e} of the largest logit, at most {SAME:.0e} is allowed"
            )


def _rows(net, seconds, bytes_of):
    """A row a runtime and number of threads; ratios are taken round by round."""
    rows = []
    for (runtime, threads), taken in seconds.items():
        row = {
            "net": net,
            "runtime": runtime,
            "threads": threads,
            "bytes": bytes_of.get(runtime),
            "latency_ms": turns.spread([1e3 * s for s in taken])._asdict(),
            "times_float32": turns.speed_ratio(
                taken, seconds[FLOAT, threads]
            )._asdict(),
        }
        if threads != THREADS[0]:
            one = seconds[runtime, THREADS[0]]
            row["times_one_thread"] = turns.speed_ratio(taken, one)._asdict()
        rows.append(row)
    return rows
