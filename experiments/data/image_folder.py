"""A folder of images: one sub-folder of JPEG and PNG files for each class."""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from experiments.data.decoding import decode_rgb_file, fitted
from experiments.data.splits import (
    MEMORY_LIMIT,
    Data,
    Split,
    pixel_statistics,
    seventy_ten_twenty,
)

SUFFIXES = {".jpg", ".jpeg", ".png"}
SMALLEST, LARGEST = 28, 64  # px, the range of an image size that nobody chose
MEASURED = 1000  # files, evenly spaced, whose sizes stand for all
FEWEST = 3  # images of a class: one for each split
SHOW_PROGRESS = 2000  # files; checking fewer is over before one wonders


def load_folder(
    folder: Path,
    *,
    image_size: int | None,
    skip_bad_images: bool,
    validation: int | None,
) -> Data:
    """The folder as a dataset; `experiments.data.load` has the contract."""
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder of images at {folder}")
    class_names, paths, labels = _list_images(folder)
    _check_classes(folder, class_names, labels)
    size = image_size or _typical_size(paths)
    pixels = None
    if len(paths) * size * size * 3 <= MEMORY_LIMIT:
        pixels = np.empty((len(paths), size, size, 3), np.uint8)
    readable = _read_all(paths, size, pixels)
    bad = tuple(str(path) for path, ok in zip(paths, readable, strict=True) if not ok)
    if bad and not skip_bad_images:
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        raise ValueError(
            f"cannot read the image {bad[0]}{more}; --skip-bad-images leaves it out"
        )
    kept = np.flatnonzero(readable)
    _check_classes(folder, class_names, labels[kept])

    parts = seventy_ten_twenty(labels[kept], validation=validation)
    train, held_out, test = (
        _split(part, kept[index], paths, labels, pixels)
        for part, index in zip(("train", "validation", "test"), parts, strict=True)
    )
    shape = (size, size, 3)
    mean, std = pixel_statistics(train, shape)
    return Data(
        name=f"folder:{folder}",
        image_shape=shape,
        class_names=class_names,
        train=train,
        validation=held_out,
        test=test,
        mean=mean,
        std=std,
        flips=True,
        bad_images=bad,
    )


def _list_images(folder: Path) -> tuple[tuple[str, ...], list[Path], np.ndarray]:
    """Class names, paths and labels, all in sorted order."""
    folders = sorted(
        child
        for child in folder.absolute().iterdir()
        if child.is_dir() and not child.name.startswith(".")
    )
    paths, labels = [], []
    for label, child in enumerate(folders):
        images = sorted(
            path
            for path in child.iterdir()
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
        )
        paths += images
        labels += [label] * len(images)
    return tuple(f.name for f in folders), paths, np.array(labels, np.int64)


def _check_classes(
    folder: Path, class_names: tuple[str, ...], labels: np.ndarray
) -> None:
    if len(class_names) < 2:
        raise ValueError(
            f"{folder} must have a sub-folder of images for each of at least two "
            f"classes, found {list(class_names)}"
        )
    counts = np.bincount(labels, minlength=len(class_names))
    for name, count in zip(class_names, counts, strict=True):
        if count < FEWEST:
            raise ValueError(
                f"class {name!r} in {folder} must have at least {FEWEST} readable "
                f"JPEG or PNG images, found {count}"
            )


def _typical_size(paths: list[Path]) -> int:
    """The median shorter side in pixels, within SMALLEST and LARGEST."""
    sides = []
    for path in paths[:: max(1, len(paths) // MEASURED)]:
        try:
            with Image.open(path) as image:  # reads the header only
                sides.append(min(image.size))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            continue  # _read_all names it
    return int(np.clip(np.median(sides), SMALLEST, LARGEST)) if sides else SMALLEST


def _read_all(paths: list[Path], size: int, pixels: np.ndarray | None) -> np.ndarray:
    """Decodes every file, into `pixels` if there is room; which ones were readable."""

    @tf.function(input_signature=[tf.TensorSpec((), tf.string)])
    def read(path):
        return fitted(decode_rgb_file(path), size)

    def read_one(number: int) -> bool:
        try:
            image = read(tf.constant(str(paths[number])))
        except tf.errors.OpError:
            return False
        if pixels is not None:
            pixels[number] = image
        return True

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(read_one, range(len(paths)))
        return np.fromiter(_with_progress(results, len(paths)), bool, len(paths))


def _with_progress(results: Iterator[bool], total: int) -> Iterator[bool]:
    for done, result in enumerate(results, start=1):
        if total > SHOW_PROGRESS and (done % 500 == 0 or done == total):
            end = "\n" if done == total else ""
            print(f"\rchecked {done:,} of {total:,} images", end=end, file=sys.stderr)
        yield result


def _split(
    part: str,
    index: np.ndarray,
    paths: list[Path],
    labels: np.ndarray,
    pixels: np.ndarray | None,
) -> Split:
    if pixels is not None:
        return Split(part, len(index), images=pixels[index], labels=labels[index])
    return Split(
        part,
        len(index),
        paths=np.array([str(paths[i]) for i in index]),
        labels=labels[index],
        decode=decode_rgb_file,
    )
