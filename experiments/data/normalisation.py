"""What a net is given for a pixel: (pixel / 255 - mean) / std, and how to find it out.

A model file alone does not say which mean and deviation it was trained with, and with
others it is wrong on most images without a word. So it is asked for, by one of `NAMES`
or in numbers; read off a graph that normalises itself; or tried on train images.
"""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from compression.nearest import did_you_mean
from experiments.data.colours import other_colours
from experiments.data.guessing import by_luck, one_answer
from experiments.data.splits import Data

if TYPE_CHECKING:  # they need Keras
    import keras

    from compression.export.runners import Runner

TRAIN = "train"  # mean and deviation of the train pixels
AS_STORED, TO_ONE, AROUND_ZERO, IMAGENET = "0..255", "0..1", "-1..1", "imagenet"
# (mean, std) of pixels from 0 to 1; one number stands for all channels.
FIXED = {
    AS_STORED: ((0.0,), (1 / 255,)),  # as stored: the net normalises them itself
    TO_ONE: ((0.0,), (1.0,)),
    AROUND_ZERO: ((0.5,), (0.5,)),
    IMAGENET: ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
NAMES = (TRAIN, *FIXED)
# Less ImageNet's mean on the scale 0 to 255, as Caffe's nets had it. Their weights
# expect blue before red, too, which no normalisation gives: `stages/application.py`.
CAFFE = "/".join(
    ",".join(repr(value / 255) for value in values)
    for values in ((123.68, 116.779, 103.939), (1, 1, 1))
)
# What the ImageNet weights of a family of `keras.applications` expect.
FAMILIES = {
    "ConvNeXt": AS_STORED,
    "DenseNet": IMAGENET,
    "EfficientNet": AS_STORED,
    "Inception": AROUND_ZERO,
    "MobileNetV3": AS_STORED,
    "MobileNet": AROUND_ZERO,
    "NASNet": AROUND_ZERO,
    "ResNet": CAFFE,
    "VGG": CAFFE,
    "Xception": AROUND_ZERO,
}
# Likewise of those that are built with `include_preprocessing=False`; of two families
# that fit the later one.
BARE = {
    "ConvNeXt": IMAGENET,
    "EfficientNetV2": AROUND_ZERO,
    "EfficientNetV2B": IMAGENET,
    "MobileNetV3": AROUND_ZERO,
}
AS_GOOD = 1.5  # images that one way may be more right than another, by luck
IMAGES = 200  # labelled train images on which a model is tried
# Layers before the first one that computes something of pixels.
PASSING = {
    *("InputLayer", "Identity", "ZeroPadding2D", "Resizing", "CenterCrop", "Permute"),
    *("RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomCrop"),
    *("RandomContrast", "RandomBrightness", "GaussianNoise", "Dropout", "Reshape"),
}
# A name, numbers in a text, or (mean, std); None: TRAIN. As `Recipe` has it.
Asked = str | tuple[tuple[float, ...], tuple[float, ...]] | None
LONG = re.compile(r"\d+\.\d{5,}")  # numbers that messages round
WIDEST = 20.0  # numbers that a net calculates with, after it has scaled its pixels


class Statistics(NamedTuple):
    """Mean and standard deviation of pixels from 0 to 1, for each channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class Score(NamedTuple):
    """How right a model is on some labelled images."""

    top1: float
    loss: float  # infinite where an answer was not finite


@dataclasses.dataclass(frozen=True)
class Normalisation:
    """What was taken for a model, and why.

    Attributes:
        name: one of `NAMES`, or the numbers that were asked for.
        mean, std: for each channel, as `Data` has them.
        reason: in words.
        scores: of what was tried, by name; none where nothing could be.
        images: how many train images were looked at.
        chance: what always the same answer would score on them.
    """

    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    reason: str
    scores: Mapping[str, Score] = dataclasses.field(default_factory=dict)
    images: int = 0
    chance: float = 0.0

    @property
    def is_guessing(self) -> bool:
        """Whether the best of all scores is no better than one answer for all."""
        if not self.scores:
            return False
        luck = by_luck(self.chance, self.images)
        return max(score.top1 for score in self.scores.values()) <= luck

    def warning(self, model: str, data: Data) -> str:
        """What to tell who uses a model that is guessing.

        Args:
            model: what to call it.
            data: that it was tried on.
        """
        tried = ", ".join(
            f"{LONG.sub(_shorter, name)} {100 * score.top1:.1f} %"
            for name, score in self.scores.items()
        )
        return (
            f"{model} is no better than guessing on {self.images} train images of "
            f"{data.name} (top-1 {tried}; one answer for all "
            f"{100 * self.chance:.1f} %): its pixels are normalised otherwise "
            "(--normalisation), or its classes are in another order, or it was trained "
            "on other images, with blue before red, or not at all"
        )

    def applied(self, data: Data) -> Data:
        """`data` with pixels that are normalised so."""
        return dataclasses.replace(data, mean=self.mean, std=self.std)


def _shorter(number):
    return f"{float(number[0]):.4g}"


def statistics(asked: str, data: Data) -> Statistics:
    """Mean and deviation for the channels of `data`, by name or in numbers.

    Args:
        asked: one of `NAMES`, or "MEAN/STD": a number or one for each channel, as
            "0.13/0.31" or "0.49,0.48,0.45/0.25,0.24,0.26".
        data: whose train pixels "train" means.

    Raises:
        ValueError: there is no such name, or the numbers are not those of as many
            channels as the images have.
    """
    if asked == TRAIN:
        return Statistics(tuple(data.mean), tuple(data.std))
    found = FIXED.get(asked) or _numbers(asked)
    channels = data.image_shape[-1]
    if any(len(part) not in (1, channels) for part in found):
        count = max(map(len, found))
        raise ValueError(
            f"normalisation {asked} is of {count} channels, images of {data.name} have "
            f"{channels}{other_colours(data.name, count)}"
        )
    mean, std = (part * channels if len(part) == 1 else part for part in found)
    return Statistics(mean, std)


def check(asked: str) -> None:
    """Raises ValueError unless `asked` is one of `NAMES` or numbers."""
    if asked not in NAMES:
        _numbers(asked)


def normalised(data: Data, asked: str) -> Data:
    """`data` with pixels that are normalised as `statistics` has it; raises as it."""
    mean, std = statistics(asked, data)
    return dataclasses.replace(data, mean=mean, std=std)


def for_model(
    model: "keras.Model | Runner | str | Path",
    data: Data,
    asked: str | None = None,
    *,
    size: int | None = None,
    images: int = IMAGES,
) -> Normalisation:
    """How pixels of `data` are to be normalised for a model that learned on their like.

    What is `asked` is taken. Else what the graph says, if a layer that scales pixels
    stands at its beginning. Else what scores best on labelled train images, of all
    `NAMES`, by top-1, and by loss where that differs no more than by luck. What is
    taken is scored on them anyway: see `is_guessing`.

    Args:
        model: of images like those of `data`, or a file of one.
        data: from `load`.
        asked: as for `statistics`; None: to be found out.
        size: side in pixels of what the model is shown of them, their middle; None:
            all.
        images: at most so many train images are looked at.

    Raises:
        ValueError: as `statistics`, or the model cannot be run on such images.
    """
    from compression.measure.scores import runner_of

    runner = runner_of(model)
    if asked is None and runner.model is not None:
        name, reason = of_graph(runner.model)
    else:
        name, reason = asked, "asked for"
    candidates = [name] if name else _candidates(data)
    pixels, labels = _train_images(data, images, size)
    scores = {
        candidate: score
        for candidate in candidates
        if (score := _score(runner, pixels, labels, statistics(candidate, data), data))
    }
    if not name:
        name, reason = _best(scores, len(labels))
    return Normalisation(
        name,
        *statistics(name, data),
        reason=reason,
        scores=scores,
        images=len(labels),
        chance=one_answer(labels),
    )


def of_graph(model: "keras.Model") -> tuple[str | None, str]:
    """Which pixels a model takes that scales them itself, and the reason in words.

    Returns:
        "0..255" or "0..1", or None where its first layers do not say.
    """
    import keras

    from compression.graph import Source, has_graph, read

    if not has_graph(model):
        return None, ""
    seen: dict[Source, np.ndarray] = {}  # what becomes of an image of 0, one of 255
    for at, call in enumerate(read(model).calls):
        layer = call.operation
        kind = type(layer).__name__
        if isinstance(layer, keras.Layer) and kind not in PASSING:
            break
        for output, images in enumerate(_darkest_and_brightest(call, seen)):
            seen[Source(at, output)] = images
    else:
        return None, ""
    ends = seen.get(call.sources[0])
    if ends is not None and (ends[0].any() or (ends[1] != 255).any()):
        name = _by_ends(*ends)  # by operations, as those of `preprocess_input`
        return name, f"its graph scales pixels from {name} itself"
    name = {"Rescaling": _of_rescaling, "Normalization": _of_normalization}.get(
        kind, lambda layer: None
    )(layer)
    reason = f"its layer {layer.name!r} scales pixels from {name} itself"
    return name, reason if name else ""


def are_alike(one: Asked, other: Asked) -> bool:
    """Whether two normalisations give a net the same numbers, whatever the images.

    Args:
        one, other: as `Recipe.normalisation` has it.
    """
    one, other = (_in_numbers(each) for each in (one, other))
    if one is None or other is None:  # of train images, at which nobody has looked
        return one is other
    (mean, std), (other_mean, other_std) = one, other
    return bool(
        np.allclose(mean, other_mean, atol=1e-3)
        and np.allclose(std, other_std, rtol=0.01, atol=0)
    )


def in_words(asked: Asked) -> str:
    """A normalisation, as `Recipe.normalisation` has it, for a message."""
    if asked is None or isinstance(asked, str):
        return asked or TRAIN
    return "/".join(",".join(f"{value:.4g}" for value in part) for part in asked)


def of_application(name: str, *, preprocesses: bool = True) -> str | None:
    """What ImageNet weights of that net of `keras.applications` expect.

    As `statistics` takes it; None: nothing is known of such a net. Those of `CAFFE`
    expect blue before red, too.

    Args:
        name: of the net.
        preprocesses: whether it scales pixels itself, if it is one of those that do
            unless they are built with `include_preprocessing=False`.
    """
    if not preprocesses:
        found = [what for family, what in BARE.items() if name.startswith(family)]
        if found:
            return found[-1]
    # ResNet50V2 and the like are scaled, ResNet50 is as Caffe's.
    if name.startswith("ResNet") and name.endswith("V2"):
        return AROUND_ZERO
    # The longest family's name that fits: MobileNetV3 before MobileNet.
    families = [family for family in FAMILIES if name.startswith(family)]
    return FAMILIES[max(families, key=len)] if families else None


def _in_numbers(asked):
    if asked is None or asked == TRAIN:
        return None
    return FIXED.get(asked) or _numbers(asked) if isinstance(asked, str) else asked


def _numbers(text):
    parts = text.split("/")
    try:
        mean, std = (tuple(float(x) for x in part.split(",")) for part in parts)
        right = all(map(np.isfinite, mean + std)) and min(std) > 0
    except ValueError:
        right = False
    if not right:
        raise ValueError(
            f"no normalisation called {text!r}{did_you_mean(text, NAMES)}; choose from "
            f"{', '.join(NAMES)}, or give MEAN/STD of pixels from 0 to 1, as 0.13/0.31"
        )
    return mean, std


def _candidates(data):
    return [n for n in NAMES if n != IMAGENET or data.image_shape[-1] == 3]


def _train_images(data, count, size):
    """(n, h, w, channels) pixels from 0 to 255, float32, and their labels."""
    from experiments.data import pipeline

    stored = normalised(data, AS_STORED)
    batches = pipeline.first_batches(stored, "train", count)
    images, labels = zip(*batches, strict=True)
    pixels, labels = np.concatenate(images), np.concatenate(labels)
    if size is None:
        return pixels, labels
    top, left = (pixels.shape[1] - size) // 2, (pixels.shape[2] - size) // 2
    return pixels[:, top : top + size, left : left + size], labels


def _score(runner, pixels, labels, wanted, data) -> Score | None:
    """None where the model knows other classes."""
    from compression import measure
    from compression.export.outputs import as_logits

    mean, std = (np.array(part, np.float32) for part in wanted)
    outputs = runner((pixels / np.float32(255) - mean) / std)
    if outputs.ndim != 2 or max(outputs.shape[1], 2) != len(data.class_names):
        return None
    if not np.isfinite(outputs).all():
        return Score(0.0, float("inf"))
    logits = as_logits(outputs, runner)
    if not np.isfinite(logits).all():
        return Score(0.0, float("inf"))
    accuracy, loss = (
        measure.accuracy(logits, labels),
        measure.cross_entropy(logits, labels),
    )
    return Score(accuracy, loss)


def _best(scores, count):
    """A name and the reason."""
    if not scores:
        return TRAIN, "nothing says otherwise: it knows other classes"
    best = max(score.top1 for score in scores.values())
    # Of those that are as right as the best but for luck the least loss tells: a net
    # without bias answers alike to pixels 255 times as large, and far too surely.
    luck = max(np.sqrt(best * (1 - best) / count), AS_GOOD / count)
    name, *others = sorted(
        scores,
        key=lambda n: (scores[n].top1 < best - luck, scores[n].loss, -scores[n].top1),
    )
    others = ", ".join(f"{other} {100 * scores[other].top1:.1f} %" for other in others)
    by_loss = scores[name].top1 < best
    return name, (
        f"top-1 on {count} train images is {100 * scores[name].top1:.1f} %"
        f"{', and the loss the least' * by_loss}; {others}"
    )


def _darkest_and_brightest(call, seen):
    """What a call gives for two images, of 0 and of 255; nothing where it is unknown.

    Args:
        call: of a layer that computes nothing of pixels, or of an operation.
        seen: what its inputs are, by their sources.
    """
    import keras

    shapes = [(2, *(side or 8 for side in x.shape[1:])) for x in call.outputs]
    if not call.sources:
        ends = np.array([0, 255], np.float32)
        return [
            np.broadcast_to(ends.reshape(2, *[1] * (len(x) - 1)), x) for x in shapes
        ]
    if not all(source in seen for source in call.sources):
        return []
    given = [seen[source] for source in call.sources]
    try:
        if isinstance(call.operation, keras.Layer):  # of one colour they stay
            corner = given[0][tuple(slice(1) if i else slice(None) for i in range(3))]
            return [np.broadcast_to(corner, shapes[0])]
        made = call.again(call.operation, given)
        return [keras.ops.convert_to_numpy(x).astype(np.float32) for x in made]
    except Exception:  # a stranger's graph: it says nothing then
        return []


def _by_ends(darkest, brightest):
    """Which pixels a net takes that makes these numbers of 0 and of 255."""
    if np.abs(darkest).max() > WIDEST:  # a mean of pixels up to 255 was taken off
        return AS_STORED
    return AS_STORED if np.abs(brightest).max() <= WIDEST else TO_ONE


def _of_rescaling(layer):
    lowest = np.asarray(layer.offset, np.float64)
    return _by_ends(lowest, 255 * np.asarray(layer.scale, np.float64) + lowest)


def _of_normalization(layer):
    """It holds the statistics of the pixels that it was adapted to; none: unknown."""
    if getattr(layer, "mean", None) is None:
        return None
    mean = np.asarray(layer.mean, np.float64)
    variance = np.asarray(layer.variance, np.float64)
    if (mean == 0).all() and (variance == 1).all():
        return None
    return AS_STORED if mean.max() > 1 or variance.max() > 1 else TO_ONE
