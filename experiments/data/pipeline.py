"""The way from a split to the device: one tf.data pipeline, bit-exact on resume.

Every random choice is a function of the recipe's seed: an epoch's order of (seed,
epoch), the augmentation of an image of (seed, view, its index in the train split),
the mixing of a batch of (seed, its number since the start of training).
A view is one augmented version of every train image: the epoch's own, or one of a
fixed number, so that a teacher's outputs can be computed once and replayed. The
same view of an image in another batch may differ in the last bit of its colours.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from experiments.data.augment import Augment, augmented, draw, mirrored, random_window
from experiments.data.cutout import cut_out
from experiments.data.decoding import fitted, window_of, window_of_jpeg
from experiments.data.mixing import mixed
from experiments.data.parallel import mapped, untuned
from experiments.data.replay import HOST, replayed
from experiments.data.shuffling import (
    balanced_order,
    epoch_order,
    fold,
    shuffled_stream,
)
from experiments.data.splits import Data, Split, require_labels

EPOCHS = 2**31 - 1  # more than anyone trains: the stream has no end
ORDER, VIEW, MIXING = 0, 1, 2  # what a seed is for; keeps them apart
VIEWS_VERSION = 1  # higher whenever a view of an image changes: caches hang on it
WINDOWS_VERSION = 2  # likewise, of windows cut from images that are not in memory
OFF = Augment(flip=False)
# No `if` or `for` here asks a tensor: Python need not be rewritten, which takes longer
# than all else.
AS_WRITTEN = tf.autograph.experimental.do_not_convert


class Batches(NamedTuple):
    """An endless dataset and how many of its batches make an epoch."""

    dataset: tf.data.Dataset
    steps_per_epoch: int


@AS_WRITTEN
def training_batches(  # noqa: PLR0913, each is a choice of its own
    data: Data,
    *,
    batch_size: int,
    seed: int,
    augment: Augment = Augment(),  # noqa: B008, it is frozen
    first_epoch: int = 0,
    views: int | None = None,
    teacher_outputs: Mapping[str, np.ndarray] | None = None,
    with_index: bool = False,
    view_seed: int | None = None,
    balanced: bool = False,
    part: tuple[int, int] = (0, 1),
) -> Batches:
    """One endless stream of shuffled, augmented, normalised train batches.

    For `fit(batches.dataset, steps_per_epoch=..., initial_epoch=first_epoch)`. A
    stream that starts at a later epoch equals the rest of one that started at 0. Each
    epoch drops the images that do not fill a batch; a split that is smaller than a
    batch is one batch.

    Args:
        data: from `load`.
        batch_size: images a step.
        seed: the recipe's, 0 or more.
        augment: what changes from view to view.
        first_epoch: the epoch, from 0, that the stream starts with.
        views: number of fixed views; epoch e shows view e % views. None: a new view
            in each epoch.
        teacher_outputs: name -> (views, train.size, ...), row [view, index] for image
            `index` as `view_batches` gives it; their length stands for `views`. Arrays
            in the memory map stay there if they are large.
        with_index: whether batches hold each image's index in the train split.
        view_seed: of the views, where it is not `seed`.
        balanced: whether an epoch shows each class equally often, see
            `shuffling.balanced_order`, instead of each image once.
        part: (k, n): of each batch every nth image from the kth on, for one of n
            machines that share it. Those images are mixed with each other alone.

    Returns:
        Batches of (image, label), image (batch, h, w, c) float32 and label (batch,)
        int64, or (batch, classes) float32 where `augment` mixes images. If more is
        asked for, ({"image", "index", each teacher output}, label): index (batch,)
        int64, and the outputs in their own dtypes.

    Raises:
        ValueError: a number is out of range, n machines cannot share a batch of that
            size, one of `teacher_outputs` has another
            shape or the name of something else, or they are not of mixed images; a
            stream, whose labels are not known, cannot be balanced.
    """
    _check_at_least(1, batch_size=batch_size)
    _check_at_least(0, seed=seed, first_epoch=first_epoch)
    split = data.train
    if teacher_outputs and views is None:
        views = len(next(iter(teacher_outputs.values())))
    if views is not None:
        _check_at_least(1, views=views)
    outputs_at = replayed(teacher_outputs, (views, split.size))
    batch_size = min(batch_size, split.size)
    steps = steps_per_epoch(data, batch_size)
    place, parts = _checked_part(part, batch_size)
    order_of = _order_of(data, steps * batch_size, balanced)
    stream = None if split.stream is None else split.stream()

    def one_epoch(epoch):
        view = epoch if views is None else epoch % views
        draws = _draws(data, augment, seed if view_seed is None else view_seed, view)
        order_seed = fold((seed, ORDER), epoch)
        if stream is not None:
            rows = shuffled_stream(stream, seed=order_seed)
            rows = rows.map(lambda row: _with_draws(row, draws, view))
            return rows.take(steps * batch_size).shard(parts, place)
        rows = _with_draws({"index": order_of(seed=order_seed)}, draws, view)
        if balanced and views is None:  # an image that comes again looks different
            used = steps * batch_size
            rows["draws"] = {name: column[:used] for name, column in draws.items()}
        rows = tf.nest.map_structure(lambda column: column[place::parts], rows)
        if split.in_memory:  # whole batches spare the work of joining single rows
            rows = tf.nest.map_structure(
                lambda column: tf.reshape(column, (steps, batch_size // parts)), rows
            )
        return tf.data.Dataset.from_tensor_slices(rows)

    rows = tf.data.Dataset.range(first_epoch, EPOCHS).flat_map(one_epoch)
    batches = mapped(rows, _fetch(data, split, augment))
    if not split.in_memory:
        batches = batches.batch(batch_size // parts, drop_remainder=True)

    finished = _finisher(data, augment)
    mix = _mixer(data, augment, seed, teacher_outputs)

    def finish(number, row):
        extra = outputs_at(tf.stack([row["view"], row["index"]], axis=1))
        if with_index:
            extra["index"] = row["index"]
        number = number * parts + place
        images, labels = mix(number, finished(row), row["label"])
        return {"image": images, **extra} if extra else images, labels

    numbered = batches.enumerate(first_epoch * steps)
    return Batches(_to_device(mapped(numbered, finish)), steps)


def _checked_part(part: tuple[int, int], batch_size: int) -> tuple[int, int]:
    if batch_size % part[1]:
        raise ValueError(f"{part[1]} machines cannot share a batch of {batch_size}")
    return part


def steps_per_epoch(data: Data, batch_size: int) -> int:
    """How many train batches make an epoch; images that do not fill one are dropped."""
    return data.train.size // min(batch_size, data.train.size)


@AS_WRITTEN
def view_batches(
    data: Data,
    *,
    view: int,
    seed: int,
    augment: Augment = Augment(),  # noqa: B008, it is frozen
    batch_size: int,
    first: int = 0,
) -> tf.data.Dataset:
    """All train images in index order, augmented as in `view`: what a teacher sees.

    With `first`, those from that index on.

    Returns:
        (batch, h, w, c) float32 batches; the last may be smaller.
    """
    _check_at_least(1, batch_size=batch_size)
    _check_at_least(0, seed=seed, view=view, first=first)
    with tf.device(HOST):
        view = tf.constant(view, tf.int64)
        draws = _draws(data, augment, seed, view)
    rows = _in_order(data.train, batch_size, first).map(
        lambda row: _with_draws(row, draws, view)
    )
    rows = mapped(rows, _fetch(data, data.train, augment))
    batches = rows if data.train.in_memory else rows.batch(batch_size)
    return _to_device(mapped(batches, _finisher(data, augment)))


@AS_WRITTEN
def evaluation_batches(
    data: Data,
    split_name: str,
    *,
    batch_size: int = 250,
    first: int = 0,
    teacher_outputs: Mapping[str, np.ndarray] | None = None,
    with_index: bool = False,
    as_distributions: bool = False,
) -> tf.data.Dataset:
    """A split in order, once, not augmented; the last batch may be smaller.

    Args:
        data: from `load`.
        split_name: "train", "validation" or "test".
        batch_size: images a batch.
        first: index of the image to begin with.
        teacher_outputs: name -> (size of the split, ...).
        with_index: as in training, but -1 for every image: it is none to learn from.
        as_distributions: whether labels are (batch, classes) float32, as those of
            mixed train images are: Keras's metrics take one form only.

    Returns:
        Batches as in training.

    Raises:
        ValueError: as in training, or there is no such split.
    """
    if split_name not in ("train", "validation", "test"):
        raise ValueError(f"no split {split_name!r}; train, validation or test")
    _check_at_least(1, batch_size=batch_size)
    _check_at_least(0, first=first)
    split = getattr(data, split_name)
    outputs_at = replayed(teacher_outputs, (split.size,))
    rows = _in_order(split, batch_size, first).map(lambda row: {**row, "draws": {}})
    rows = mapped(rows, _fetch(data, split, OFF))
    batches = rows if split.in_memory else rows.batch(batch_size)

    def finish(row):
        extra = outputs_at(row["index"][:, None])
        if with_index:
            extra["index"] = tf.fill(tf.shape(row["index"]), tf.constant(-1, tf.int64))
        images, labels = normalise(data, row["image"]), row["label"]
        if as_distributions:
            labels = tf.one_hot(labels, len(data.class_names))
        return {"image": images, **extra} if extra else images, labels

    return _to_device(mapped(batches, finish))


def first_batches(
    data: Data, split_name: str, count: int | None = None, *, batch_size: int = 250
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The first images of a split and their labels, as numpy arrays.

    Args:
        data, split_name, batch_size: as `evaluation_batches` takes them.
        count: of images; None: all.
    """
    found, left = [], count
    batches = evaluation_batches(data, split_name, batch_size=batch_size)
    for images, labels in batches.as_numpy_iterator():
        found.append((images[:left], labels[:left]))
        if left is not None:
            left -= len(images)
            if left <= 0:
                break
    return found


def normalise(data: Data, images: tf.Tensor) -> tf.Tensor:
    """(x / 255 - mean) / std per channel, float32.

    Args:
        data: whose mean and deviation.
        images: (batch, h, w, c) of the data's shape, on the scale 0 to 255.
    """
    # Broadcasting over a last axis of 3 is several times slower than over long lines.
    mean, std = (np.tile(part, data.image_shape[1]) for part in (data.mean, data.std))
    height, width, channels = data.image_shape
    lines = tf.reshape(tf.cast(images, tf.float32), (-1, width * channels))
    lines = lines * (1 / (255 * std)).astype("float32") - (mean / std).astype("float32")
    return tf.reshape(lines, (-1, height, width, channels))


def _draws(data: Data, augment: Augment, seed: int, view: tf.Tensor) -> dict:
    names = augment.draws(flips=data.flips, channels=data.image_shape[-1])
    return draw(names, seed=fold((seed, VIEW), view), count=data.train.size)


def _order_of(data: Data, count: int, balanced: bool) -> Callable:
    """Function of an epoch's seed that gives the indices of its `count` images."""
    if balanced:
        return partial(balanced_order, require_labels(data, "balanced sampling"), count)
    return lambda seed: epoch_order(data.train.size, seed=seed)[:count]


def _with_draws(row: dict, draws: dict, view: tf.Tensor) -> dict:
    """Adds what the image or images at row["index"] drew, and the view."""
    index = row["index"]
    chosen = {name: tf.gather(column, index) for name, column in draws.items()}
    return {**row, "draws": chosen, "view": tf.fill(tf.shape(index), view)}


def _in_order(split: Split, batch_size: int, first: int) -> tf.data.Dataset:
    """Rows by index: of whole batches if the images are in memory, else single."""
    if split.stream is not None:
        rows = split.stream().enumerate().skip(first)
        left = max(0, split.size - first)
        rows = rows.apply(tf.data.experimental.assert_cardinality(left))
        return rows.map(
            lambda index, row: {"index": index, "source": row[0], "label": row[1]}
        )
    indices = tf.data.Dataset.range(first, split.size)
    if split.in_memory:
        indices = indices.batch(batch_size)
    return indices.map(lambda index: {"index": index})


def _fetch(data: Data, split: Split, augment: Augment) -> Callable:
    """Adds "image", uint8 of the data's shape, and "label" to a row."""
    size = data.image_shape[0]

    def pixels(row, source):
        if augment.random_resized_crop:
            draws = row["draws"]
            return mirrored(
                _window_of(split, source, random_window(draws), data), draws
            )
        image = split.decode(source)
        image = fitted(image, size) if image.shape != data.image_shape else image
        return tf.ensure_shape(image, data.image_shape)

    if split.stream is not None:
        return lambda row: {
            "image": pixels(row, row["source"]),
            **{key: value for key, value in row.items() if key != "source"},
        }
    labels = _on_host(split.labels)
    if split.in_memory:
        images = _on_host(split.images)
        return lambda row: {
            **row,
            "image": tf.gather(images, row["index"]),
            "label": tf.gather(labels, row["index"]),
        }
    paths = _on_host(split.paths)
    return lambda row: {
        **row,
        "image": pixels(row, tf.gather(paths, row["index"])),
        "label": tf.gather(labels, row["index"]),
    }


def _window_of(split: Split, source: tf.Tensor, window: Callable, data: Data):
    size, _, channels = data.image_shape

    def whole():
        return window_of(split.decode(source), window, size)

    if split.jpeg is None:
        image = whole()
    else:
        encoded, may_be_cut = split.jpeg(source)
        image = tf.cond(
            may_be_cut,
            lambda: window_of_jpeg(encoded, window, size, channels=channels),
            whole,
        )
    return tf.ensure_shape(image, data.image_shape)


def _finisher(data: Data, augment: Augment) -> Callable:
    """From a batched row to its augmented, normalised images."""
    shifts = augment.pca_shift > 0 and data.image_shape[-1] == 3
    components = data.colour_components if shifts else None  # not inside the graph

    def finished(row):
        images = augmented(
            row["image"],
            row["draws"],
            augment,
            components=components,
            windows=data.train.in_memory or not augment.random_resized_crop,
        )
        images = tf.ensure_shape(normalise(data, images), (None, *data.image_shape))
        if augment.cutout is not None:
            images = cut_out(images, row["draws"], augment.cutout)
        return images

    return finished


def _mixer(data: Data, augment: Augment, seed: int, teacher_outputs) -> Callable:
    """From a batch's number, images and integer labels to images and labels."""
    if not augment.mixes:
        return lambda number, images, labels: (images, labels)
    if teacher_outputs:
        raise ValueError(
            "teacher_outputs are of whole images, but this augment mixes them: let the "
            "teacher run in every step, or leave out mixup and cutmix"
        )
    return lambda number, images, labels: mixed(
        images,
        tf.one_hot(labels, len(data.class_names)),
        mixup=augment.mixup,
        cutmix=augment.cutmix,
        seed=fold((seed, MIXING), number),
    )


def _on_host(values: np.ndarray) -> tf.Tensor:
    with tf.device(HOST):
        return tf.convert_to_tensor(values)


def _to_device(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Batches, untuned, wait where they are used; a strategy moves its own."""
    dataset = untuned(dataset)
    if tf.config.list_logical_devices("GPU") and not tf.distribute.has_strategy():
        return dataset.apply(tf.data.experimental.prefetch_to_device("GPU:0"))
    return dataset.prefetch(tf.data.AUTOTUNE)


def _check_at_least(least: int, **numbers: int) -> None:
    for name, number in numbers.items():
        if number < least:
            raise ValueError(f"{name} must be at least {least}, got {number}")
