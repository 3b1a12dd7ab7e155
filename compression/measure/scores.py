"""How right logits are: accuracy, cross-entropy, agreement. Plain numpy.

One logit z an image, (n, 1), stands for two classes with logits (0, z): z above 0 is
class 1. NaN and infinite logits are refused: their argmax would be a class, too.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from compression import data_format
from compression.answers import require_finite, two_classes
from compression.arguments import require_batches, require_number, shown
from compression.export.outputs import as_logits
from compression.export.runners import Runner, load, of_model
from compression.graph import rebuild


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Fraction of images whose largest logit is their label's; of equals the first.

    Args:
        logits: (n, classes), or (n, 1) for two classes.
        labels: (n,) or (n, 1) integer classes.

    Raises:
        ValueError: the shapes do not fit, a label is no class, or logits are not
            finite.
    """
    return top_accuracy(logits, labels, k=1)


def top_accuracy(logits: np.ndarray, labels: np.ndarray, *, k: int) -> float:
    """Fraction of images whose label is among the k largest logits.

    Of equal logits the lower class comes first, as in `argmax`: quantized files give
    equal logits often.

    Raises:
        ValueError: as `accuracy`, or k is not positive.
    """
    require_number("k", k, whole=True)
    if k < 1:
        raise ValueError(f"k must be positive, got {k}")
    logits, labels = _checked(logits, labels)
    first = np.argsort(-logits, axis=1, kind="stable")[:, :k]
    return float((first == labels[:, None]).any(axis=1).mean())


def errors_by_class(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How many images of each class are taken for another, (classes,) integers.

    Raises:
        ValueError: as `accuracy`.
    """
    logits, labels = _checked(logits, labels)
    wrong = labels[logits.argmax(axis=1) != labels]
    return np.bincount(wrong, minlength=logits.shape[1])


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean of -log softmax(logits)[label], in nats.

    Raises:
        ValueError: as `accuracy`.
    """
    logits, labels = _checked(logits, labels)
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=1))
    return float((log_sum - shifted[np.arange(len(labels)), labels]).mean())


def logits(
    model_or_path: keras.Model | Runner | str | Path, batches: Iterable
) -> np.ndarray:
    """The logits (n, classes) of all images of `batches`, in their order.

    Of what ends in a softmax or sigmoid, too: see `compression.export.outputs`.

    Args:
        model_or_path: a model or an exported file.
        batches: of images (n, height, width, channels), or of tuples that begin with
            images.

    Raises:
        ValueError: there are no images, they do not fit, or logits are not finite.
    """
    runner = runner_of(model_or_path)
    require_batches("batches", batches)
    outputs = [
        runner(batch[0] if isinstance(batch, (tuple, list)) else batch)
        for batch in batches
    ]
    if not outputs:
        raise ValueError("there are no images to run")
    found = as_logits(np.concatenate(outputs), runner)
    return require_finite(found, name_of(runner))


def name_of(runner: Runner) -> str:
    """What a message calls it: the file, or the model's name."""
    if runner.path is not None:
        return str(runner.path)
    return f"model {runner.model.name!r}" if runner.model is not None else runner.kind


def runner_of(
    model_or_path: keras.Model | Runner | str | Path, *, threads: int = 1
) -> Runner:
    """Something to call with images."""
    if isinstance(model_or_path, Runner):
        return model_or_path
    if isinstance(model_or_path, keras.Model):
        return of_model(model_or_path)
    if not isinstance(model_or_path, str | Path):
        raise ValueError(
            f"a keras.Model or the path of a file is measured, got "
            f"{shown(model_or_path)}"
        )
    return load(model_or_path, threads=threads)


def at_size(runner: Runner, image_size: int | tuple[int, int] | None) -> Runner:
    """`runner` for images of one size, where it leaves the size open.

    Args:
        runner: of a model or a file.
        image_size: side, or (height, width); None where the runner fixes it.

    Raises:
        ValueError: the size is open and not given, or given and another.
    """
    shape, name = list(runner.input_shape), runner.path or runner.kind
    if image_size is not None:
        several = isinstance(image_size, (tuple, list))
        sides = tuple(image_size) if several else (image_size,) * 2
        for side in sides:
            require_number("image_size", side, whole=True)
        first = takes_channels_first(runner)
        for axis, side in zip((1, 2) if first else (0, 1), sides, strict=True):
            if len(shape) != 3 or shape[axis] not in (None, side):
                raise ValueError(
                    f"{name} takes images {runner.input_shape}, "
                    f"not of size {sides[0]} x {sides[1]}"
                )
            shape[axis] = side
    if None in shape:
        raise ValueError(
            f"{name} takes images {runner.input_shape} and leaves their size open: "
            "give image_size (--image-size), 224 or (height, width)"
        )
    if tuple(shape) == runner.input_shape:
        return runner
    if runner.model is None:
        return replace(runner, input_shape=tuple(shape))

    def fixed(call):
        if isinstance(call.operation, keras.layers.InputLayer):
            return keras.layers.InputLayer(
                shape,
                batch_size=runner.batch,
                dtype=call.operation.dtype,
                name=call.operation.name,
            )
        return None

    sized = rebuild(runner.model, replace=fixed, share=True, flatten=True)
    return of_model(sized, runner.path)


def takes_channels_first(runner: Runner) -> bool:
    """Whether images are (channels, height, width).

    Keras's setting says so of a file, whose layers nobody knows.
    """
    if runner.model is not None:
        return data_format.takes_channels_first(runner.model)
    return keras.config.image_data_format() == data_format.CHANNELS_FIRST


def _checked(logits, labels):
    logits, labels = two_classes(np.asarray(logits)), np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:  # as Keras's CIFAR gives them
        labels = labels[:, 0]
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not len(labels):
        raise ValueError(
            "logits must be (n, classes) and labels (n,) integer classes, "
            f"got {logits.shape} and {labels.shape}"
        )
    if labels.dtype.kind not in "iu":
        raise ValueError(f"labels must be integer classes, got {labels.dtype}")
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise ValueError(
            f"labels must be 0 to {logits.shape[1] - 1}, "
            f"got {labels.min()} to {labels.max()}"
        )
    return require_finite(logits, "the model"), labels
