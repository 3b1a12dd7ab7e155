"""What a .tflite file needs on a microcontroller, and whether it runs there at all.

TensorFlow Lite Micro (David et al., 2021, arXiv:2010.08678) has neither `malloc` nor
files: weights stay in flash, and all else lives in one block of RAM, the arena. Its own
interpreter runs the file here, from the package tflite-micro (limbeck's extra
"boards"), in a process of its own: what it lacks it writes to C's standard error, and
should its C++ crash, nothing else ends.
"""

import importlib.util
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from compression.answers import agreement
from compression.export.outputs import as_logits
from compression.export.runners import Runner, load

PACKAGE = "tflite_micro"
MISSING = (
    "tflite-micro is not installed: pip install 'limbeck[boards]', with a Python that "
    "it has a wheel for (3.11)"
)
PROGRAM = Path(__file__).with_name("micro_run.py")
SECONDS = 600  # for all images; kernels are plain C, a hundred times slower than ours
SAME_FLOATS = 1e-5  # relative to the largest output: float32 added in another order


@dataclass(frozen=True)
class Board:
    """What TensorFlow Lite Micro makes of a file; None where it was not measured.

    Attributes:
        arena_bytes: the smallest arena in which the file runs, to 16 bytes. On this
            machine: pointers of a 32-bit board are half as long, so that it needs a
            little less there. Weights are not in it, the file stays in flash.
        lacking: operators of the file that TensorFlow Lite Micro does not have.
        refusal: why the file cannot run, or nothing could be measured, in one line.
        difference: the largest difference from LiteRT's output on the same images, in
            codes; of float outputs, relative to the largest.
        equal: whether that is 0, or within 1e-5 for floats. Integers of LiteRT's fast
            kernels are often a code off those of plain ones.
        agreement: fraction of the images that both give the same class.
    """

    arena_bytes: int | None = None
    lacking: tuple[str, ...] = ()
    refusal: str | None = None
    difference: float | None = None
    equal: bool | None = None
    agreement: float | None = None


def board(file: Runner | str | Path, images: np.ndarray | None = None) -> Board:
    """Runs a .tflite file in TensorFlow Lite Micro.

    Args:
        file: its path, or what `export.load` made of it.
        images: (n, height, width, channels) on which its outputs are compared with
            those of LiteRT; None: only what it needs is measured. A few are enough,
            since the kernels are slow.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no .tflite file, is damaged, or takes other images.
    """
    runner = file if isinstance(file, Runner) else load(file)
    if runner.kind != "litert":
        raise ValueError(
            f"boards run .tflite files, {runner.path or 'a model in memory'} is none: "
            "export it with export.litert"
        )
    if importlib.util.find_spec(PACKAGE) is None:
        return Board(refusal=MISSING)
    expected = None if images is None else runner(images)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        if images is not None:
            np.save(folder / "inputs.npy", _whole_batches(runner, images))
        found = _run(runner.path, folder)
        if images is None or found.refusal:
            return found
        codes = np.load(folder / "outputs.npy")[: len(images)]
    difference = _difference(codes, runner.gives.codes(expected))
    limit = 0 if codes.dtype.kind == "i" else SAME_FLOATS
    return replace(
        found,
        difference=difference,
        equal=difference <= limit,
        agreement=agreement(
            as_logits(runner.gives.reals(codes), runner), as_logits(expected, runner)
        ),
    )


def _whole_batches(runner, images):
    """Images as the file stores them, the last one again and again to fill a batch."""
    images = np.asarray(images, np.float32)
    missing = -len(images) % (runner.batch or 1)
    whole = np.concatenate([images, images[-1:].repeat(missing, axis=0)])
    return runner.takes.codes(whole)


def _run(path, folder):
    # -P: files beside the program must not stand for packages of the same name.
    command = [sys.executable, "-P", PROGRAM, path.absolute(), folder]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS, errors="replace"
        )
    except subprocess.TimeoutExpired:
        return Board(refusal=f"it took more than {SECONDS} s")
    lines = [line.partition(" ") for line in done.stdout.splitlines()]
    lacking = tuple(text for word, _, text in lines if word == "lacks")
    said = {word: text for word, _, text in lines}
    if lacking:
        return Board(lacking=lacking, refusal=f"it lacks {', '.join(lacking)}")
    if "refuses" in said:
        return Board(refusal=said["refuses"])
    if done.returncode:
        last = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()
        return Board(refusal=f"it ended with: {last[-1]}")
    return Board(arena_bytes=int(said["arena"]))


def _difference(codes, expected):
    if codes.dtype.kind == "i":
        return int(np.abs(codes.astype(int) - expected.astype(int)).max())
    largest = max(float(np.abs(expected).max()), 1e-6)
    return float(np.abs(codes - expected).max()) / largest
