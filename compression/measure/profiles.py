"""Everything that is measured of one model or file, in one row."""

import warnings
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

import keras
import numpy as np

from compression.answers import agreement, require_finite
from compression.arguments import require_batches
from compression.batches import floats_of
from compression.export.outputs import as_logits
from compression.export.runners import Runner
from compression.measure import scores
from compression.measure.board import Board, board
from compression.measure.crops import mean_logits
from compression.measure.latency import Latency, latencies
from compression.measure.macs import macs
from compression.measure.parameters import parameters
from compression.measure.sizes import encoded_size, model_sizes, size, zipped_size


@dataclass(frozen=True)
class Profile:
    """Measurements of one model or file; None where it was not asked or is unknown.

    Attributes:
        kind: "keras", "saved_model", "litert" or "archive".
        parameters: weights as papers count them, see `measure.parameters`.
        nonzero: of these, how many are not zero.
        macs: multiply-accumulates of one image; None with a warning where a layer is
            not known.
        bytes: of the file or folder; of a model in memory, the .keras file that it
            would be without its optimizer.
        bytes_zipped: after deflate at level 9.
        bytes_encoded: of the .limbeck file, where it is asked for or is what was given.
        latency_ms: median over calls with one image.
        latency_low_ms: 10th percentile.
        latency_high_ms: 90th percentile.
        arena_bytes: RAM that a .tflite file needs in TensorFlow Lite Micro, weights
            aside, see `measure.board`.
        board_refusal: why that is not known of a .tflite file, in one line.
        top1: fraction of images, 0 to 1.
        top5: likewise; None with five classes or fewer.
        loss: mean cross-entropy in nats.
        agreement: fraction of images where the reference has the same answer.
        errors: number of images that are taken for another class than their label's.
        errors_by_class: these, counted by label.
        examples: number of images that these six are about.
    """

    kind: str
    parameters: int
    nonzero: int
    macs: int | None
    bytes: int
    bytes_zipped: int
    bytes_encoded: int | None = None
    latency_ms: float | None = None
    latency_low_ms: float | None = None
    latency_high_ms: float | None = None
    arena_bytes: int | None = None
    board_refusal: str | None = None
    top1: float | None = None
    top5: float | None = None
    loss: float | None = None
    agreement: float | None = None
    errors: int | None = None
    errors_by_class: list[int] | None = None
    examples: int | None = None

    def as_row(self) -> dict[str, str | int | float | list[int] | None]:
        """The attributes by name, ready for JSON."""
        return asdict(self)


def profile(  # noqa: PLR0913, what to measure, each by keyword
    model_or_path: keras.Model | Runner | str | Path,
    data: Iterable | None = None,
    *,
    reference: keras.Model | Runner | str | Path | np.ndarray | None = None,
    latency: bool = True,
    arena: bool = True,
    encoded: bool = False,
    threads: int = 1,
    image_size: int | tuple[int, int] | None = None,
    views: Callable[[np.ndarray], Iterable[np.ndarray]] | None = None,
) -> Profile:
    """Measures a model, a .keras, .tflite or .limbeck file or a SavedModel folder.

    Args:
        model_or_path: what to measure.
        data: batches (images, labels) with integer classes; read once.
        reference: what to compare the answers on `data` with: a model, a file, or
            logits of the same images, (n, classes).
        latency: time it, too. To compare several, use `latencies`.
        arena: ask TensorFlow Lite Micro, of a .tflite file, too.
        encoded: entropy-code a Keras model, too, which takes seconds.
        threads: that LiteRT may use.
        image_size: side, or (height, width), at which a model that leaves it open is
            timed and its MACs counted; that of the first images of `data` by default.
        views: what the images of a batch are shown as, their probabilities averaged,
            such as `ten_crops` of a size; None: as they are. A reference sees them as
            they are, and time and MACs are of one view.

    Raises:
        FileNotFoundError, ValueError: the file is missing or damaged; `data` is not
            as above; there is a reference and no data; the image size is open and
            not given, or given and another; logits on `data` are not finite.
    """
    if reference is not None and data is None:
        raise ValueError("agreement with a reference needs data")
    runner = scores.runner_of(model_or_path, threads=threads)
    if runner.path is None:
        sizes = model_sizes(runner.model)
    else:
        sizes = size(runner.path), zipped_size(runner.path)
    if image_size is None and data is not None and None in runner.input_shape:
        image_size, data = _size_of(data, scores.takes_channels_first(runner))
    sized = runner
    if latency or image_size is not None:
        sized = scores.at_size(runner, image_size)
    time = latencies({"": sized})[""] if latency else Latency(None, None, None, 0)
    on_board = Board()
    if arena and runner.kind == "litert":
        on_board = board(runner)
    answers = {}
    if data is not None:
        answers = _answers(runner, data, reference, threads, views)
    weights = parameters(runner)
    return Profile(
        kind=runner.kind,
        parameters=weights.count,
        nonzero=weights.nonzero,
        macs=_macs_or_none(sized),
        bytes=sizes[0],
        bytes_zipped=sizes[1],
        bytes_encoded=_encoded(runner, sizes[0], encoded),
        latency_ms=time.median_ms,
        latency_low_ms=time.low_ms,
        latency_high_ms=time.high_ms,
        arena_bytes=on_board.arena_bytes,
        board_refusal=on_board.refusal,
        **answers,
    )


def _encoded(runner, size, asked):
    if runner.kind == "archive":
        return size
    return encoded_size(runner.model) if asked and runner.model is not None else None


def _size_of(data, channels_first):
    """(height, width) of the first images, None if there are none; and all of data."""
    require_batches("data", data, "batches (images, labels)")
    batches = iter(data)
    for first in batches:
        shape = np.shape(first[0] if isinstance(first, (tuple, list)) else first)
        sides = shape[2:4] if channels_first else shape[1:3]
        return (sides if len(shape) == 4 else None), chain([first], batches)
    return None, []


def _macs_or_none(runner):
    try:
        return macs(runner)
    except ValueError as error:
        warnings.warn(str(error), stacklevel=3)
        return None


def _answers(runner, data, reference, threads, views):
    """Scores over `data`, an iterator perhaps: both nets see each batch in turn."""
    given = reference is None or isinstance(reference, np.ndarray)
    other = None if given else scores.runner_of(reference, threads=threads)
    logits, labels, other_logits = [], [], []
    require_batches("data", data, "batches (images, labels)")
    for batch in data:
        if not isinstance(batch, (tuple, list)) or len(batch) < 2:
            raise ValueError("data must be batches (images, labels)")
        images = floats_of(batch)
        if views is None:
            logits.append(runner(images))
        else:
            logits.append(mean_logits(runner, views(images)))
        labels.append(np.asarray(batch[1]))
        if other is not None:
            other_logits.append(other(images))
    if not logits:
        raise ValueError("data holds no batches")
    logits = np.concatenate(logits)
    if views is None:
        logits = as_logits(logits, runner)
    labels = np.concatenate(labels)
    require_finite(logits, scores.name_of(runner))
    if other is not None:
        reference = require_finite(
            as_logits(np.concatenate(other_logits), other),
            f"the reference {scores.name_of(other)}",
        )
    errors = scores.errors_by_class(logits, labels)
    return {
        "top1": scores.accuracy(logits, labels),
        "top5": scores.top_accuracy(logits, labels, k=5)
        if logits.shape[1] > 5
        else None,
        "loss": scores.cross_entropy(logits, labels),
        "agreement": None if reference is None else agreement(logits, reference),
        "errors": int(errors.sum()),
        "errors_by_class": errors.tolist(),
        "examples": len(logits),
    }
