"""Datasets by their TFDS name, read from where TensorFlow Datasets keeps them."""

import os
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from compression.nearest import did_you_mean
from experiments.data.colours import CHANNELS
from experiments.data.decoding import fitted, upright_jpeg
from experiments.data.download import download, quiet
from experiments.data.kinds import BY_PATH
from experiments.data.parallel import mapped, untuned
from experiments.data.splits import (
    MEMORY_LIMIT,
    Data,
    Split,
    check_validation,
    pixel_statistics,
    spread,
    stratified_cut,
)

NAME = re.compile(r"(?P<base>\w+)(/[\w.+-]+)?(:[\w.*]+)?")  # base/config:version
MIXED_SIZE = 224  # px, where stored sizes differ and nobody chose: ImageNet's custom
MOST_VALIDATION, MOST_TEST = 5000, 10_000  # images cut from train
LOSSY_UP_TO = 64  # px; larger photographs are JPEG by right
JPEG = b"\xff\xd8"  # how every JPEG file begins
# Characters read differently in a mirror; so does all "mnist" but these two.
CHARACTERS = {"binary_alpha_digits", "cmaterdb", "omniglot", "svhn_cropped"}
MIRRORED_MNIST = {"fashion_mnist", "pneumonia_mnist"}


def load_prepared(name: str, *, image_size: int | None, validation: int | None) -> Data:
    """The TFDS dataset; `experiments.data.load` has the contract."""
    with quiet():
        builder = _builder(name)
        source = _source(name, builder, image_size)
        if not builder.is_prepared():
            download(name, builder, _data_dir())
    counts = _count(source, validation)
    total = counts.train + counts.validation + counts.test
    if total * int(np.prod(source.shape)) <= MEMORY_LIMIT:
        train, held_out, test = _in_memory(source, counts)
    else:
        train, held_out, test = _streamed(source, counts)
    mean, std = pixel_statistics(train, source.shape)
    base = NAME.fullmatch(name)["base"]
    return Data(
        name=name,
        image_shape=source.shape,
        class_names=source.class_names,
        train=train,
        validation=held_out,
        test=test,
        mean=mean,
        std=std,
        flips=base in MIRRORED_MNIST or not ("mnist" in base or base in CHARACTERS),
        note=_lossy_note(base, source),
    )


@dataclass(frozen=True)
class _Source:
    """How a prepared dataset is read: encoded images first, pixels later."""

    builder: tfds.core.DatasetBuilder
    image_key: str
    label_key: str
    shape: tuple[int, int, int]  # after fitting

    @property
    def feature(self) -> tfds.features.Image:
        return self.builder.info.features[self.image_key]

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(self.builder.info.features[self.label_key].names)

    def encoded(self, part: str) -> tf.data.Dataset:
        """(encoded bytes, label) of a part such as "train[:100]", always in order."""
        return self.builder.as_dataset(
            split=part,
            as_supervised=True,
            decoders={self.image_key: tfds.decode.SkipDecoding()},
            read_config=tfds.ReadConfig(try_autocache=False),
            shuffle_files=False,
        )

    def decode(self, encoded: tf.Tensor) -> tf.Tensor:
        return self.feature.decode_example(encoded)

    def pixels(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        """(n, h, w, c) uint8 images and (n,) int64 labels of a whole part."""
        size = self.builder.info.splits[part].num_examples
        images, labels = np.empty((size, *self.shape), np.uint8), np.empty(size, int)

        def shaped(encoded, label):
            image = self.decode(encoded)
            if self.feature.shape != self.shape:
                image = fitted(image, self.shape[0])
            return image, label

        rows = untuned(mapped(self.encoded(part), shaped))
        start = 0
        for some_images, some_labels in rows.batch(1024).prefetch(1):
            stop = start + len(some_labels)
            images[start:stop], labels[start:stop] = some_images, some_labels
            start = stop
        return images, labels


def _data_dir() -> Path:
    # An empty one would be the working directory.
    return Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def _builder(name: str) -> tfds.core.DatasetBuilder:
    match = NAME.fullmatch(name)
    # Only names that TFDS knows: it would look any other up on the network.
    known = match is not None and (
        match["base"] in tfds.list_builders(with_community_datasets=False)
        or (_data_dir() / match["base"]).is_dir()
    )
    if not known:
        raise ValueError(
            f"no data called {name!r}{_nearest(name)}; choose from mnist5k, digits, a "
            "TFDS name such as mnist or cifar10, folder:PATH, csv:PATH or npz:PATH"
        )
    try:
        return tfds.builder(name, data_dir=str(_data_dir()))
    except (AssertionError, ValueError, tfds.core.DatasetNotFoundError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise ValueError(f"no data called {name!r}: {reason}") from error


def _nearest(name):
    kind, colon, _ = name.partition(":")
    if colon:
        known = [f"{each}:" for each in (*BY_PATH, *CHANNELS)]
        return did_you_mean(f"{kind}:", known)
    names = tfds.list_builders(with_community_datasets=False)
    return did_you_mean(name, ("mnist5k", "digits", *names))


def _source(
    name: str, builder: tfds.core.DatasetBuilder, image_size: int | None
) -> _Source:
    features = builder.info.features
    keys = builder.info.supervised_keys or ()
    image, label = (features[key] for key in keys) if len(keys) == 2 else (None, None)
    if not (
        isinstance(image, tfds.features.Image)
        and isinstance(label, tfds.features.ClassLabel)
        and image.np_dtype == np.uint8
        and image.shape[-1] in (1, 3)
    ):
        raise ValueError(
            f"{name} must be a dataset of grey or RGB images with one class each"
        )
    shape = tuple(image.shape)
    if image_size is None and None in shape:
        image_size = MIXED_SIZE
    if image_size is not None:
        shape = (image_size, image_size, shape[-1])
    return _Source(builder, *keys, shape)


@dataclass(frozen=True)
class _Counts:
    train: int
    validation: int
    test: int  # cut from train, or in the split called `test_part`
    test_part: str | None


def _count(source: _Source, validation: int | None) -> _Counts:
    splits = source.builder.info.splits
    if "train" not in splits:
        raise ValueError(
            f"{source.builder.name} has no train images, only {', '.join(splits)}: "
            "choose data to train and to calibrate on"
        )
    stored = splits["train"].num_examples
    test_part = None
    if "test" in splits and _is_labelled(source, "test"):
        test_part = "test"
    elif "validation" in splits:
        test_part = "validation"
    test = min(stored // 5, MOST_TEST)
    available = stored
    if test_part is None:
        available -= test
    else:
        test = splits[test_part].num_examples
    if validation is None:
        validation = min(stored // 10, MOST_VALIDATION)
    check_validation(validation, available)
    return _Counts(available - validation, validation, test, test_part)


def _is_labelled(source: _Source, part: str) -> bool:
    """Contests keep the labels of their test images: TFDS stores -1 for those."""
    first = source.encoded(f"{part}[:1]")
    return all(int(label) >= 0 for _, label in first)


def _in_memory(source: _Source, counts: _Counts) -> tuple[Split, Split, Split]:
    """Validation is stratified: the labels are at hand."""
    images, labels = source.pixels("train")
    of_class = np.bincount(labels, minlength=len(source.class_names))
    test = np.zeros_like(of_class)
    if counts.test_part is None:
        test = spread(of_class, counts.test)
    parts = stratified_cut(
        labels, validation=spread(of_class - test, counts.validation), test=test
    )
    train, held_out, cut_off = ((images[index], labels[index]) for index in parts)
    if counts.test_part is not None:
        cut_off = source.pixels(counts.test_part)
    return (
        _held("train", *train),
        _held("validation", *held_out),
        _held("test", *cut_off),
    )


def _held(part: str, images: np.ndarray, labels: np.ndarray) -> Split:
    return Split(part, len(labels), images=images, labels=labels)


def _streamed(source: _Source, counts: _Counts) -> tuple[Split, Split, Split]:
    """Validation and test are the last records of train, which TFDS has shuffled."""
    first, second = counts.train, counts.train + counts.validation
    test_part = counts.test_part or f"train[{second}:]"
    return (
        _stream("train", counts.train, source, f"train[:{first}]"),
        _stream("validation", counts.validation, source, f"train[{first}:{second}]"),
        _stream("test", counts.test, source, test_part),
    )


def _stream(part: str, size: int, source: _Source, records: str) -> Split:
    return Split(
        part,
        size,
        stream=partial(source.encoded, records),
        decode=source.decode,
        jpeg=upright_jpeg,
    )


def _lossy_note(base: str, source: _Source) -> str:
    """A warning where pixels that the dataset's makers kept exact are JPEG here."""
    height, width, _ = source.feature.shape
    if None in (height, width) or max(height, width) > LOSSY_UP_TO:
        return ""
    if source.feature.to_json_content().encoding_format == "jpeg":
        return ""  # the makers' own choice
    for encoded, _ in source.encoded("train[:1]"):
        if encoded.numpy().startswith(JPEG):
            return (
                f"{base} here is a lossy JPEG copy: accuracies are not comparable "
                "with published ones"
            )
    return ""
