"""Keras in a process of its own: TensorFlow's threads are set once in each.

    python -m experiments.benchmarks.keras_process 2

Reads lines, does what they say and answers each with "done": "load MODEL IMAGE", or the
name of a method to call with the image.
"""

import subprocess
import sys
from pathlib import Path

DONE = "done"


class KerasProcess:
    """Handle of the process; a call of it costs a word to and fro, some 50 us.

    Args:
        threads: of TensorFlow.
    """

    def __init__(self, threads: int):
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def load(self, model: Path, image: Path) -> None:
        """Loads a .keras file, and an image of a .npy file to call it with."""
        self._ask(f"load\t{model}\t{image}")

    def call(self, method: str) -> None:
        """Calls a method of the model, such as "predict", with the image."""
        self._ask(method)

    def close(self) -> None:
        """Ends the process."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _ask(self, line):
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        if self._process.stdout.readline().strip() != DONE:
            raise RuntimeError(f"the process that runs Keras ended at {line!r}")


def _main(threads):
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    import keras
    import numpy as np

    import architectures  # noqa: F401, registers the layers that a .keras file may hold

    calls = {}
    for line in sys.stdin:
        word, *rest = line.rstrip("\n").split("\t")
        if word == "load":
            model = keras.models.load_model(rest[0], compile=False)
            image = np.load(rest[1])
            calls = {
                "predict": lambda m=model, i=image: m.predict(i, verbose=0),
                "predict_on_batch": lambda m=model, i=image: m.predict_on_batch(i),
            }
        else:
            calls[word]()
        print(DONE, flush=True)


if __name__ == "__main__":
    _main(int(sys.argv[1]))
