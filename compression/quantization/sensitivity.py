"""What each layer costs when it alone is quantized."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from compression.arguments import fits, require_batches, require_end, shown
from compression.batches import floats_of
from compression.quantization.switched import INT4, INT8, SwitchedNet

MOST_LABELLED = 2**32  # bytes of images in memory: 7,000 of 224 px


@dataclass(frozen=True)
class LayerCost:
    """What it costs to round one layer, all others in float32.

    Attributes:
        layer: its name; a layer that a file holds as several operators is several, as
            "conv" and "conv_activation".
        kind: its class, or "input": the images.
        precision: "int8", or "int4": weights of 4 bits; what it gives has 8.
        weights: number of its weights that are rounded; their bytes are this times the
            bits.
        loss: by how much the mean cross-entropy grows, in nats.
        top1: by how much the fraction of right answers falls, 0 to 1.
        cosine_distance: 1 - cos of the angle between what it gives rounded and in
            float, on all images as one vector. Of large tensors 64 numbers of each
            image are compared.
    """

    layer: str
    kind: str
    precision: str
    weights: int
    loss: float
    top1: float
    cosine_distance: float


@dataclass(frozen=True)
class Examples:
    """Labelled images in memory.

    Attributes:
        images: (n, height, width, channels).
        labels: (n,) integer classes.
    """

    images: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(cls, data: Iterable, model: keras.Model) -> "Examples":
        """All of batches (images, labels), for `model`.

        Raises:
            ValueError: there are none, one has no labels or other ones, images are not
                those of the model's one input, or take too much memory.
        """
        require_batches("data", data, "batches (images, labels)")
        inputs = getattr(model, "inputs", None) or ()
        if len(inputs) > 1:
            raise ValueError(
                f"data are images of one input, {model.name!r} has {len(inputs)}"
            )
        expected = tuple(inputs[0].shape[1:]) if inputs else None
        images, labels, size = [], [], 0
        for batch in data:
            if not isinstance(batch, (tuple, list)) or len(batch) < 2:
                raise ValueError(
                    f"data must be batches (images, labels), got {shown(batch)}"
                )
            images.append(floats_of(batch))
            shape = images[-1].shape
            if expected is not None and not fits(shape[1:], expected):
                raise ValueError(
                    f"data must be batches of images {expected} with labels, one has "
                    f"the shape {shape}"
                )
            expected = shape[1:]  # where a model leaves a size open, one for all
            labels.append(_classes(batch[1], shape[0]))
            size += images[-1].nbytes
            require_end(images, size, "data", MOST_LABELLED)
        if not images:
            raise ValueError("data holds no batches")
        return cls(np.concatenate(images), np.concatenate(labels))


def _classes(labels, count):
    """(count,) integer classes; Keras's CIFAR gives them as (count, 1)."""
    labels = np.asarray(labels)
    if labels.shape not in ((count,), (count, 1)) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"data must be batches (images, labels) with integer classes ({count},), "
            f"got labels {labels.shape} of {labels.dtype}; of one-hot labels give "
            "labels.argmax(-1)"
        )
    return labels.reshape(count)


def sensitivity(
    model: keras.Model,
    data: Iterable,
    *,
    precisions: Sequence[str] = (INT8, INT4),
    calibration: Iterable | None = None,
    skip: Sequence[str] = (),
    log: Callable[[str], None] = lambda line: None,
) -> list[LayerCost]:
    """Rounds one layer after the other, and says what each costs: the dearest first.

    One graph serves all of them, so the time is that of one pass over the images for
    each row: a ResNet-56 has 141, which took 170 CPU-seconds with 256 images of 32 px.

    Args:
        model: functional or a built `Sequential`, trained, not quantized.
        data: batches (images, labels) with integer classes, of a few hundred images;
            not those that shall judge the result.
        precisions: of weights, "int8" and "int4"; layers that take no 4 have 8.
        calibration: batches of images from which ranges are read; None: `data`.
        skip: layers that always stay float32, by name or pattern.
        log: called with each line of progress.

    Raises:
        ValueError: an argument is not one of those above; the model has no graph, or a
            layer without integer kernel; or data do not fit.
    """
    data = Examples.of(data, model)
    precisions = known_precisions(precisions)
    net = SwitchedNet(
        model, [data.images] if calibration is None else calibration, skip
    )
    return costs(net, data, precisions, log)


def known_precisions(given: str | Iterable[str]) -> tuple[str, ...]:
    """One precision or several, as a tuple.

    Raises:
        ValueError: one is neither "int8" nor "int4", or there is none.
    """
    found = (given,) if isinstance(given, str) else tuple(given)
    for precision in found or [None]:
        if precision not in (INT8, INT4):
            raise ValueError(f"precisions must be of int8 and int4, got {precision!r}")
    return found


def costs(
    net: SwitchedNet,
    data: Examples,
    precisions: Sequence[str],
    log: Callable[[str], None] = lambda line: None,
) -> list[LayerCost]:
    """The rows of `sensitivity`, of a net that is switched already."""
    net.all_float()
    logits, given = net.answers(data.images)
    loss, top1 = scores_of(logits, data.labels)
    wanted = [
        (part, precision)
        for part in net.parts.values()
        for precision in [p for p in precisions if p in part.precisions] or [INT8]
    ]
    rows = []
    for number, (part, precision) in enumerate(wanted, start=1):
        log(f"{number}/{len(wanted)}: {part.layer} in {precision}")
        net.only(part.layer, precision)
        logits, rounded = net.answers(data.images)
        its_loss, its_top1 = scores_of(logits, data.labels)
        distance = cosine_distance(given[part.layer], rounded[part.layer])
        rows.append(
            LayerCost(
                layer=part.layer,
                kind=part.kind,
                precision=precision,
                weights=part.weights,
                loss=its_loss - loss,
                top1=top1 - its_top1,
                cosine_distance=distance,
            )
        )
    net.all_float()
    return sorted(rows, key=lambda row: -row.loss)


def scores_of(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """(mean cross-entropy in nats, fraction of right answers)."""
    from compression.measure.scores import accuracy, cross_entropy  # imports this room

    return cross_entropy(logits, labels), accuracy(logits, labels)


def cosine_distance(one: np.ndarray, other: np.ndarray) -> float:
    """1 - cos of the angle between two arrays as vectors, 0 to 2; of zeros alike 0."""
    one, other = one.ravel().astype(np.float64), other.ravel().astype(np.float64)
    if (one == other).all():
        return 0.0
    norms = np.linalg.norm(one) * np.linalg.norm(other)
    return 1.0 if norms == 0 else float(1 - one @ other / norms)
