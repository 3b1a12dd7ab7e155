"""The codec of the standard ISO/IEC 15938-17 (NNC), from an environment of its own.

It codes integers without loss: the numbers of a tensor's values, counted from zero up
and down; the values themselves are float32 beside them, as is a tensor of which each
weight has its own.
"""

import struct
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.benchmarks.deep_compression import MOST_VALUES

VARIABLE = "LIMBECK_NNCODEC"
MISSING = (
    f"{VARIABLE} names no Python that has the package nncodec, which wants an "
    "environment of its own with numpy below 2"
)
PROGRAM = Path(__file__).with_name("nnc_process.py")


class Nnc:
    """Codes through that Python, until it is closed.

    Attributes:
        version: of nncodec.

    Args:
        python: of the environment.

    Raises:
        RuntimeError: it does not begin: nncodec is not there.
    """

    def __init__(self, python: str):
        self._folder = tempfile.TemporaryDirectory(prefix="limbeck-nnc-")
        self._path = Path(self._folder.name)
        self._errors = (self._path / "errors").open("w+")
        try:
            self._process = subprocess.Popen(
                [python, PROGRAM, self._path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
            )
        except OSError as error:
            raise RuntimeError(f"{VARIABLE}={python}: {error}") from error
        self.version = self._process.stdout.readline().strip()
        if not self.version:
            words = self._last_words()
            self.close()
            raise RuntimeError(f"nncodec: {words}")

    def close(self) -> None:
        """Ends the process."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()
        self._folder.cleanup()

    def encode(self, arrays: Sequence[np.ndarray]) -> bytes:
        """float32 tensors; their shapes are the reader's to know."""
        codes, parts = {}, []
        for number, array in enumerate(arrays):
            values = np.unique(array)
            if len(values) > min(MOST_VALUES, array.size // 2):
                parts.append(struct.pack("<H", 0) + array.astype("<f4").tobytes())
                continue
            parts.append(
                struct.pack("<H", len(values)) + values.astype("<f4").tobytes()
            )
            found = np.searchsorted(values, array) - _zero(values)
            codes[f"{number:04}"] = found.astype(np.int32)
        np.savez(self._path / "codes.npz", **codes)
        self._ask("encode")
        return b"".join((*parts, (self._path / "stream.nnc").read_bytes()))

    def decode(self, content: bytes, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """What `encode` was given; of `arrays` the shapes count."""
        at, tables = 0, []
        for array in arrays:
            (count,) = struct.unpack_from("<H", content, at)
            tables.append(np.frombuffer(content, "<f4", count or array.size, at + 2))
            at += 2 + 4 * len(tables[-1])
        (self._path / "stream.nnc").write_bytes(content[at:])
        self._ask("decode")
        with np.load(self._path / "codes.npz") as codes:
            return [
                table[codes[name] + _zero(table)] if name in codes.files else table
                for name, table in ((f"{i:04}", t) for i, t in enumerate(tables))
            ]

    def _ask(self, what):
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if answer != "\n":
            raise RuntimeError(f"nncodec: {answer.strip() or self._last_words()}")

    def _last_words(self):
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        return lines[-1] if lines else "its process ended"


def _zero(values):
    """The number of zero, or of where it would be."""
    return int(np.searchsorted(values, 0))
