"""Nets made small by limbeck and by tfmot: accuracy, bytes, seconds and memory.

    limbeck bench compression

The same trained nets are pruned, clustered and trained for int8 by both, with the same
data, budget and settings, and each result is exported in the same form. Every way has a
process of its own, which tells its memory; the two of a method train in turns. The test
images are looked at once, through the exported files.
"""

import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from compression import export, measure
from compression.one_line import in_one_line
from experiments.benchmarks.compression_process import TrainingProcess
from experiments.benchmarks.setting import require_benchmarked, set_threads
from experiments.data import Data, load, pipeline
from experiments.data.augment import Augment
from experiments.data.labelled import chosen_images

LIMBECK, TFMOT = "limbeck", "tfmot"
ENGINES = (LIMBECK, TFMOT)
METHODS = ("prune", "cluster", "quantize")
SPARSITY, CLUSTERS = 0.8, 16
DENSE = "dense"
SEEDS, QUICK_SEEDS = 3, 1


@dataclass(frozen=True)
class Case:
    """A net, the data, and how long it is trained.

    Attributes:
        net: its name in the catalogue.
        data: name of the dataset.
        images: train images that are learned from.
        dense: epochs before anything is compressed.
        epochs: of each way to compress it.
        options: of the net.
        augment: what training images go through.
        batch_size: images a step.
    """

    net: str
    data: str
    images: int
    dense: int
    epochs: int
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    augment: Augment = field(default_factory=lambda: Augment(pad=4))
    batch_size: int = 128

    def loaded(self) -> Data:
        """The data, only so many images to learn from, each class with its share.

        Raises:
            FileNotFoundError, ValueError: they are not there.
        """
        data = load(self.data)
        chosen = chosen_images(data, self.images, seed=0)
        return replace(data, train=data.train.only(chosen))


DIGITS = Augment(pad=0)
CASES = {
    "lenet5_caffe": Case(
        "lenet5_caffe", "mnist5k", 3500, 12, 6, augment=DIGITS, batch_size=64
    ),
    "resnet20": Case("resnet20", "cifar10", 4000, 10, 3),
    # A quarter of its channels: whole, it takes hours.
    "vgg16_cifar": Case("vgg16_cifar", "cifar10", 4000, 10, 3, options={"width": 0.25}),
}
QUICK = {
    "lenet5_caffe": Case(
        "lenet5_caffe", "mnist5k", 256, 1, 1, augment=DIGITS, batch_size=64
    )
}


def run(  # noqa: PLR0913, all by keyword but the first
    only: Sequence[str] | None = None,
    *,
    rounds: int | None = None,
    threads: int | None = None,
    batch: int | None = None,
    quick: bool = False,
    log: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Compress the nets in both ways, and measure what comes of it.

    Args:
        only: some of `CASES`; None: all.
        rounds: seeds.
        threads: of TensorFlow in each process; None: its own choice.
        batch: images a step; None: as each case has it.
        quick: one net, few images, one seed, to see that everything runs.
        log: called with each line of progress.

    Raises:
        ValueError: there is no such net, or data are not there.
        RuntimeError: a training ended in an error.
    """
    cases = QUICK if quick else CASES
    require_benchmarked(only or (), cases)
    seeds = range(rounds or (QUICK_SEEDS if quick else SEEDS))
    setting = set_threads(threads, with_torch=False)
    rows, skipped = [], {}
    for name, case in cases.items():
        if only and name not in only:
            continue
        try:
            data = case.loaded()
        except FileNotFoundError as error:
            skipped[name] = in_one_line(error)
            continue
        with tempfile.TemporaryDirectory(prefix="limbeck-bench-") as folder:
            job = {"case": name, "quick": quick, "threads": threads, "batch": batch}
            rows += _case_rows(name, data, Path(folder), job, seeds, log)
    return {
        "benchmark": "compression",
        "seeds": len(seeds),
        "quick": quick,
        "cases": {
            name: {"images": case.images, "epochs": case.epochs, "data": case.data}
            for name, case in cases.items()
        },
        "setting": setting,
        "skipped": skipped,
        "results": rows,
    }


def _case_rows(name, data, folder, job, seeds, log):  # noqa: PLR0913
    ways = [(DENSE, LIMBECK)]
    found = {way: [] for way in ways}
    log(f"{name}: training the dense nets")
    with TrainingProcess(folder, job | {"method": DENSE, "engine": LIMBECK}) as dense:
        for seed in seeds:
            log(f"{name}: dense, seed {seed}")
            found[DENSE, LIMBECK].append(dense.train(seed))
    for method in METHODS:
        asked = [job | {"method": method, "engine": engine} for engine in ENGINES]
        with (
            TrainingProcess(folder, asked[0]) as ours,
            TrainingProcess(folder, asked[1]) as theirs,
        ):
            pairs = list(zip(ENGINES, (ours, theirs), strict=True))
            for seed in seeds:  # what is timed of both meets the same drift
                for engine, process in pairs[:: 1 if seed % 2 == 0 else -1]:
                    log(f"{name}: {method} by {engine}, seed {seed}")
                    trained = found.setdefault((method, engine), [])
                    trained.append(process.train(seed))
    log(f"{name}: looking at the test images")
    batches = pipeline.first_batches(data, "test")
    return [
        {"net": name, "method": method, "engine": engine} | _row(trained, batches)
        for (method, engine), trained in found.items()
    ]


def _row(trained, batches):
    """What the seeds of one way have in common, and each seed's own."""
    labels = np.concatenate([labels for _, labels in batches])
    files = [Path(each["file"]) for each in trained]
    top1 = [
        measure.accuracy(measure.logits(export.load(file), batches), labels)
        for file in files
    ]
    return {
        "top1": top1,
        "bytes": statistics.mean(map(measure.size, files)),
        "bytes_zipped": statistics.mean(map(measure.zipped_size, files)),
        "epoch_seconds": [each["epoch_seconds"] for each in trained],
        "peak_memory_bytes": max(each["peak_memory_bytes"] for each in trained),
        "precision": trained[0]["precision"],
    }
