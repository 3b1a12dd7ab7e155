"""Images in files: a folder with one sub-folder for each class, or a list of them."""

import os
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from experiments.cores import usable_cores
from experiments.data.decoding import decode_rgb_file, fitted, upright_jpeg_file
from experiments.data.image_files import (
    SUFFIXES,
    ImageFiles,
    find_images,
    find_unlabelled,
    readable,
)
from experiments.data.image_list import find_listed
from experiments.data.parallel import mapped, untuned
from experiments.data.parts import FEWEST, check_classes, in_two, three_parts
from experiments.data.splits import (
    MEMORY_LIMIT,
    VALIDATION_SHARE,
    Data,
    Split,
    check_validation,
    pixel_statistics,
)

SMALLEST, LARGEST = 28, 64  # px, the range of an image size that nobody chose
MOST_PIXELS = 2**27  # of one image: 400 MB when decoded; the largest phones take less
UNREADABLE, TOO_LARGE = 0, -1  # in the place of an image's side
READ_AT_ONCE = 64
SHOW_PROGRESS = 2000  # files; checking fewer is over before one wonders


def load_files(
    kind: str,
    path: Path,
    *,
    image_size: int | None,
    skip_bad_images: bool,
    validation: int | None,
) -> Data:
    """The files as a dataset; `experiments.data.load` has the contract.

    Args:
        kind: "folder", "unlabelled" or "csv", one of `FIND`.
        path: of the folder or of the list.
        image_size, skip_bad_images, validation: as there.
    """
    found = FIND[kind](path)
    check = _check_images if kind == "unlabelled" else _check_classes
    check(path, found, found.labels)
    if found.left_out:
        warnings.warn(
            f"{path} holds more than is taken: {'; '.join(found.left_out)}",
            stacklevel=3,
        )
    sides = _short_sides(found.paths)
    size = image_size or _typical_size(sides)
    pixels = None
    if len(found.paths) * size * size * 3 <= MEMORY_LIMIT:
        pixels = np.empty((len(found.paths), size, size, 3), np.uint8)
    usable = _read_all(found.paths, sides, size, pixels)
    left = np.flatnonzero(~usable)
    bad = tuple(readable(found.paths[i]) for i in left)
    if bad and not skip_bad_images:
        what = f"cannot read the image {bad[0]}"
        if sides[left[0]] == TOO_LARGE:
            what = f"{bad[0]} has more than {MOST_PIXELS:,} pixels"
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        raise ValueError(f"{what}{more}; --skip-bad-images leaves it out")
    kept = np.flatnonzero(usable)
    check(path, found, found.labels[kept])

    parts = _cut(path, found, kept, validation)
    train, held_out, test = (
        _split(part, index, found.paths, found.labels, pixels)
        for part, index in zip(("train", "validation", "test"), parts, strict=True)
    )
    shape = (size, size, 3)
    mean, std = pixel_statistics(train, shape)
    return Data(
        name=f"{kind}:{readable(path)}",
        image_shape=shape,
        class_names=found.class_names,
        train=train,
        validation=held_out,
        test=test,
        mean=mean,
        std=std,
        flips=True,
        bad_images=bad,
        left_out=found.left_out,
    )


FIND = {"folder": find_images, "unlabelled": find_unlabelled, "csv": find_listed}


def _check_images(path: Path, found: ImageFiles, labels: np.ndarray) -> None:
    if len(labels) < FEWEST:
        raise ValueError(
            f"{path} must have at least {FEWEST} {_READABLE}, found {len(labels)}"
        )


def _check_classes(path: Path, found: ImageFiles, labels: np.ndarray) -> None:
    if len(found.class_names) < 2 and path.is_dir():
        raise ValueError(
            f"{path} must have a sub-folder of images for each of at least two "
            f"classes, found {list(found.class_names)}"
        )
    check_classes(readable(path), found.class_names, labels, _READABLE)


_READABLE = f"readable images ({', '.join(sorted(SUFFIXES))})"


def _cut(
    path: Path, found: ImageFiles, kept: np.ndarray, validation: int | None
) -> list[np.ndarray]:
    """Positions of the train, validation and test images among all that were found."""
    labels = found.labels[kept]
    if found.class_names:
        parts = None if found.parts is None else found.parts[kept]
        cut = three_parts(readable(path), found.class_names, labels, parts, validation)
        return [kept[index] for index in cut]
    if validation is None:
        validation = max(1, round(len(kept) * VALIDATION_SHARE))
    check_validation(validation, len(kept))
    train, held_out = in_two(kept, found.labels, validation)
    return [train, held_out, kept[:0]]  # nothing will be measured on them


def _short_sides(paths: list[Path]) -> np.ndarray:
    """Of each image in pixels, by its header; UNREADABLE or TOO_LARGE of others."""

    def side(path: Path) -> int:
        try:
            with Image.open(path) as image:  # reads the header only
                width, height = image.size
        except Image.DecompressionBombError:
            return TOO_LARGE
        except Exception:  # a reader of Pillow's for some format raises what it likes
            return UNREADABLE
        return min(width, height) if width * height <= MOST_PIXELS else TOO_LARGE

    with ThreadPoolExecutor(usable_cores()) as pool:
        return np.fromiter(pool.map(side, paths), np.int64, len(paths))


def _typical_size(sides: np.ndarray) -> int:
    """The median shorter side in pixels, within SMALLEST and LARGEST."""
    sides = sides[sides > 0]
    return int(np.clip(np.median(sides), SMALLEST, LARGEST)) if len(sides) else SMALLEST


def _read_all(
    paths: list[Path], sides: np.ndarray, size: int, pixels: np.ndarray | None
) -> np.ndarray:
    """Decodes every file, into `pixels` if there is room; which ones were readable."""

    def read(number, path):
        image = fitted(decode_rgb_file(path), size)
        # A corner, so that the image is decoded: what nobody asks for, is not.
        return number, image[0, 0] if pixels is None else image

    numbers = np.flatnonzero((sides != UNREADABLE) & (sides != TOO_LARGE))
    names = np.array([os.fsencode(paths[number]) for number in numbers], object)
    images = tf.data.Dataset.from_tensor_slices((numbers, names.astype(bytes)))
    images = untuned(mapped(images, read, deterministic=False))
    images = images.ignore_errors().batch(READ_AT_ONCE).prefetch(1)
    readable = np.zeros(len(paths), bool)
    for found, decoded in _with_progress(images.as_numpy_iterator(), len(numbers)):
        readable[found] = True
        if pixels is not None:
            pixels[found] = decoded
    return readable


def _with_progress(batches: Iterator[tuple], total: int) -> Iterator[tuple]:
    done = 0
    for batch in batches:
        yield batch
        before, done = done, done + len(batch[0])
        if total > SHOW_PROGRESS and (done // 500 > before // 500 or done == total):
            text = f"\rchecked {done:,} of {total:,} images"
            print(text, end="", file=sys.stderr, flush=True)
    if total > SHOW_PROGRESS:
        print(file=sys.stderr)


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
        paths=np.array([os.fsencode(paths[i]) for i in index], object),
        labels=labels[index],
        decode=decode_rgb_file,
        jpeg=upright_jpeg_file,
    )
