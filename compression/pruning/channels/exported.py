"""A net as a LiteRT file: the bytes that it takes, the time that it takes.

TensorFlow and LiteRT are imported when something is exported, not before.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
from keras import layers

from compression.graph import Call, Graph

FOLDED_INTO = (
    layers.Conv1D,
    layers.Conv2D,
    layers.Conv1DTranspose,
    layers.Conv2DTranspose,
    layers.DepthwiseConv1D,
    layers.DepthwiseConv2D,
    layers.SeparableConv1D,
    layers.SeparableConv2D,
    layers.Dense,
)


def file_bytes(model: keras.Model) -> int:
    """Bytes of the float32 LiteRT file of a net.

    Raises:
        RuntimeError, ValueError: it cannot be exported, see `export.litert`.
    """
    from compression.measure import size

    with _litert_file(model) as path:
        return size(path)


def latency_left(
    model: keras.Model, *, threads: int = 1, rounds: int | None = None
) -> Callable[[keras.Model], float]:
    """A function that times a smaller net: its milliseconds over those of `model`.

    Both are float32 LiteRT files, called with one image in turn, for the clocks of
    shared machines drift (`measure.latencies`); the ratio is that of the medians.

    Args:
        model: the whole net, exported once.
        threads: that LiteRT may use.
        rounds: of five calls each; None stops after 200 calls or 2 seconds.

    Raises:
        RuntimeError, ValueError: a net cannot be exported, see `export.litert`.
    """
    whole = _runner(model, threads)

    def left(smaller: keras.Model) -> float:
        from compression.measure import latencies

        nets = {"whole": whole, "smaller": _runner(smaller, threads)}
        times = latencies(nets, threads=threads, rounds=rounds)
        return times["smaller"].median_ms / times["whole"].median_ms

    return left


def folded_norms(graph: Graph) -> dict[int, Call]:
    """Batch norms that are no operator of the file, and the calls they are folded into.

    By the `id` of the batch norm: those behind a convolution or dense layer without an
    activation, whose output nobody else reads.
    """
    found = {}
    for call in graph.calls:
        if not isinstance(call.operation, layers.BatchNormalization):
            continue
        [source] = call.sources
        before = graph.calls[source.call].operation
        if (
            isinstance(before, FOLDED_INTO)
            and before.activation is keras.activations.linear
            and len(graph.consumers[source]) == 1
            and source not in graph.outputs
        ):
            found[id(call.operation)] = graph.calls[source.call]
    return found


@contextmanager
def _litert_file(model) -> Iterator[Path]:
    from compression import export

    with tempfile.TemporaryDirectory() as folder:
        yield export.litert(model, Path(folder) / "net.tflite")


def _runner(model, threads):
    from compression import export

    with _litert_file(model) as path:  # read whole: it is not needed any longer
        return export.load(path, threads=threads)
