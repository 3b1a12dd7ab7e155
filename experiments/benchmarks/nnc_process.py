"""Codes of weights to an NNC bitstream and back, in a Python that has nncodec.

    PYTHON nnc_process.py FOLDER

It is no module of ours there: nncodec (Fraunhofer HHI, of ISO/IEC 15938-17) wants numpy
below 2, and so an environment of its own. It writes its version, then reads lines:
"encode" makes stream.nnc of codes.npz in the folder, "decode" the opposite; it answers
each by an empty line, or by what went wrong.
"""

import contextlib
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np


def _encode(nnc, folder):
    with np.load(folder / "codes.npz") as codes:
        stream = nnc.compress(
            {name: codes[name] for name in codes.files},
            bitstream_path=str(folder / "unused.nnc"),
            use_dq=False,  # what is an integer already is not quantized
            row_skipping=True,
            return_bitstream=True,
        )
    (folder / "stream.nnc").write_bytes(bytes(stream))


def _decode(nnc, folder):
    stream = bytearray((folder / "stream.nnc").read_bytes())
    np.savez(folder / "codes.npz", **nnc.decompress(stream))


def _main(folder):
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        from nncodec import nnc
    print(version("nncodec"), file=answers, flush=True)
    for line in sys.stdin:
        answer = ""
        try:
            with contextlib.redirect_stdout(sys.stderr):
                {"encode": _encode, "decode": _decode}[line.strip()](nnc, folder)
        except Exception as error:  # told where somebody can read it
            answer = f"{type(error).__name__}: {' '.join(str(error).split())}"
        print(answer, file=answers, flush=True)


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
