"""What pruning costs while a net is trained and cut, and what its files gain.

    limbeck bench prune

Four parts, each with its peers in turns: a training step with masks (tfmot's wrappers
through tf_keras), the time to plan and cut a net (Torch-Pruning, where it is
installed), a training step of nets that kept multiples of some number of channels, and
the exported files of nets that lost channels or weights, in LiteRT.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.benchmarks import (
    prune_cuts,
    prune_files,
    prune_multiples,
    prune_steps,
)
from experiments.benchmarks.setting import set_threads

PARTS = ("steps", "cuts", "multiples", "files")
ROUNDS, QUICK_ROUNDS = 15, 2


def run(  # noqa: PLR0913, all by keyword but the first
    only: tuple[str, ...] | None = None,
    *,
    rounds: int | None = None,
    threads: int | None = None,
    batch: int | None = None,
    quick: bool = False,
    log: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Time the parts.

    Args:
        only: some of `PARTS`; None: all.
        rounds: turns of each way to train.
        threads: of TensorFlow and PyTorch; None leaves them as they are. Files are run
            with one and with two.
        batch: images a training step.
        quick: small nets and two rounds, to see that everything runs.
        log: called with each line of progress.

    Raises:
        ValueError: there is no such part, or the number of threads can no longer be
            changed.
    """
    for part in only or ():
        if part not in PARTS:
            raise ValueError(f"no part called {part!r}; choose from {', '.join(PARTS)}")
    parts = [part for part in PARTS if only is None or part in only]
    rounds = rounds or (QUICK_ROUNDS if quick else ROUNDS)
    setting = set_threads(threads, with_torch=False)
    result: dict[str, Any] = {
        "benchmark": "prune",
        "rounds": rounds,
        "quick": quick,
        "setting": setting,
        "skipped": {},
    }
    batch = batch or (8 if quick else 128)
    if "steps" in parts:
        result["steps"] = prune_steps.run(rounds, batch, quick=quick, log=log)
    if "cuts" in parts:
        result["cuts"] = prune_cuts.run(quick=quick, log=log)
        if why := prune_cuts.torch_missing():
            result["skipped"][prune_cuts.TORCH_PRUNING] = why
    if "multiples" in parts:
        timed = prune_multiples.run(rounds, batch, quick=quick, log=log)
        result["multiples"] = timed
    if "files" in parts:
        with tempfile.TemporaryDirectory(prefix="limbeck-bench-") as folder:
            result["files"] = prune_files.run(Path(folder), quick=quick, log=log)
    return result
