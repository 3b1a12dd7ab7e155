"""Where bits and their probabilities go to and come from: a file, or only a sum.

`Writer`, `Reader` and `Meter` have the same methods, `code` and `code_evenly`, so that
what walks through a tensor is written once: it hands over the bits where it has them
and takes what comes back. The range coder is that of `constriction`, a package in Rust:
words of 32 bits, a state of 64, probabilities of 24. Those we give it are multiples of
2^-16, which a float64 holds and 24 bits hold, too: nothing is rounded.
"""

import numpy as np

from compression.export.archive.integer_logarithm import WHOLE

WORD = np.dtype("<u4")


class Writer:
    """Writes bits."""

    reads = False

    def __init__(self):
        stream = _stream()
        self._coder = stream.queue.RangeEncoder()
        self._model = stream.model.Bernoulli(perfect=True)

    def code(self, bits: np.ndarray, ones: np.ndarray) -> np.ndarray:
        """Writes `bits`, (n,) of 0 and 1; `ones` / 65536 is how probable each 1 is."""
        self._coder.encode(bits.astype(np.int32), self._model, ones / WHOLE)
        return bits

    def code_evenly(self, numbers: np.ndarray, count: int, bits: int) -> np.ndarray:
        """Writes `count` numbers below 2^bits, each as likely; `bits` is up to 24."""
        model = _stream().model.Uniform(1 << bits)
        self._coder.encode(numbers.astype(np.int32), model)
        return numbers

    def content(self) -> bytes:
        """What was written, without the zeros at its end, which a reader adds."""
        return self._coder.get_compressed().astype(WORD).tobytes().rstrip(b"\0")


class Reader:
    """Reads what `Writer` wrote.

    Raises:
        ValueError: `code` meets what no writer can have written.
    """

    reads = True

    def __init__(self, content: bytes):
        stream = _stream()
        words = content + bytes(-len(content) % WORD.itemsize)
        self._coder = stream.queue.RangeDecoder(
            np.frombuffer(words, WORD).astype(np.uint32)
        )
        self._model = stream.model.Bernoulli(perfect=True)

    def code(self, bits: None, ones: np.ndarray) -> np.ndarray:
        """Reads as many bits as there are probabilities."""
        return self._decoded(self._model, ones / WHOLE)

    def code_evenly(self, numbers: None, count: int, bits: int) -> np.ndarray:
        """Reads `count` numbers below 2^bits."""
        return self._decoded(_stream().model.Uniform(1 << bits), count)

    def _decoded(self, model, what):
        try:
            found = self._coder.decode(model, what)
        except AssertionError as error:  # constriction's word for invalid data
            raise ValueError("its weights cannot be decoded") from error
        return found.astype(np.int64)


class Meter:
    """Adds up what `Writer` would write.

    Attributes:
        bits: by what was said to be coded next, `part`.
    """

    reads = False

    def __init__(self):
        self.bits: dict[str, float] = {}
        self.part = ""

    def code(self, bits: np.ndarray, ones: np.ndarray) -> np.ndarray:
        """Counts `bits`, each -log2 of its probability."""
        likely = np.where(bits, ones, WHOLE - ones) / WHOLE
        self._add(-float(np.log2(likely).sum()))
        return bits

    def code_evenly(self, numbers: np.ndarray, count: int, bits: int) -> np.ndarray:
        """Counts `bits` for each number."""
        self._add(float(bits * count))
        return numbers

    def _add(self, cost):
        self.bits[self.part] = self.bits.get(self.part, 0.0) + cost


def _stream():
    try:
        import constriction
    except ImportError as error:
        raise ImportError(
            "archives need the package constriction: pip install constriction"
        ) from error
    return constriction.stream
