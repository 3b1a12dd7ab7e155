"""Images as arrays: those of an .npz file, and what is made of any others."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.arrays import read_arrays
from experiments.data.parts import PARTS, check_classes, three_parts
from experiments.data.splits import Data, Split, chunks, pixel_statistics

# How people call images and labels, alone or with a part: "x_test", "train_images".
IMAGES, LABELS = "images", "labels"
KINDS = {"x": IMAGES, "image": IMAGES, "images": IMAGES}
KINDS |= {"y": LABELS, "label": LABELS, "labels": LABELS}
CLASS_NAMES = "class_names"
RESIZED_LIMIT = 2**34  # bytes, of arrays that are to become larger than they came
ALL = "all"  # the part of images that nobody has split
WANTED = "x and y; or x_train, y_train, x_test, y_test and perhaps x_val, y_val"


def load_arrays(path: Path, *, image_size: int | None, validation: int | None) -> Data:
    """The file as a dataset; `experiments.data.load` has the contract."""
    if not path.is_file():
        raise FileNotFoundError(f"no file of arrays at {path}")
    stored = _read(path)
    names, left_out = _named(path, stored)
    _check_parts(path, names)
    found = {
        part: _images_and_labels(path, stored, names[part]) for part in sorted(names)
    }
    shapes = {part: images.shape[1:] for part, (images, _) in found.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"{path} has images of several shapes: {shapes}")
    labels = np.concatenate([labels for _, labels in found.values()])
    of = np.repeat(list(found), [len(labels) for _, labels in found.values()])
    class_names = _class_names(path, stored, labels)
    check_classes(str(path), class_names, labels)
    parts = None if ALL in found else of
    cut = three_parts(str(path), class_names, labels, parts, validation)
    images = np.concatenate([images for images, _ in found.values()])
    flips = images.shape[-1] == 3
    return in_three(
        f"npz:{path}", images, labels, cut, class_names, image_size, flips, left_out
    )


def in_three(  # noqa: PLR0913, each is a part of a dataset
    name: str,
    images: np.ndarray,
    labels: np.ndarray,
    cut: Sequence[np.ndarray],
    class_names: tuple[str, ...],
    image_size: int | None,
    flips: bool = False,
    left_out: tuple[str, ...] = (),
) -> Data:
    """Arrays as a dataset.

    Args:
        name: of the dataset.
        images: (n, h, w, channels) uint8.
        labels: (n,) integers.
        cut: positions of the train, validation and test images.
        class_names: label i is class_names[i].
        image_size: pixels a side; None: as they are.
        flips, left_out: as `Data` has them.

    Raises:
        ValueError: the images do not fit in memory at that size.
    """
    if image_size is not None and images.shape[1:3] != (image_size, image_size):
        from experiments.data.decoding import fitted

        if len(images) * image_size**2 * images.shape[-1] > RESIZED_LIMIT:
            raise ValueError(
                f"{len(images):,} images of {name} take more than "
                f"{RESIZED_LIMIT >> 30} GiB in memory at image_size={image_size}: "
                "choose a smaller one, or give files (folder:PATH)"
            )
        parts = chunks(images, (image_size, image_size))
        images = np.concatenate([fitted(part, image_size) for part in parts])
    labels = labels.astype(np.int64)
    train, held_out, test = (
        Split(part, len(index), images=images[index], labels=labels[index])
        for part, index in zip(("train", "validation", "test"), cut, strict=True)
    )
    shape = images.shape[1:]
    mean, std = pixel_statistics(train, shape)
    return Data(
        name=name,
        image_shape=shape,
        class_names=class_names,
        train=train,
        validation=held_out,
        test=test,
        mean=mean,
        std=std,
        flips=flips,
        left_out=left_out,
    )


def _read(path):
    try:
        return read_arrays(path, compressed=True)
    except ValueError as error:
        if "allow_pickle" in str(error):
            raise ValueError(
                f"{path} holds Python objects, which are not read, they could run "
                "anything: save plain arrays, class_names as np.array([...], str)"
            ) from error
        raise


def _named(path, stored):
    """{part: {kind: name of the array}}, and what is left out."""
    names, others = {}, []
    for name in stored:
        words = name.lower().split("_")
        kinds = [KINDS[word] for word in words if word in KINDS]
        parts = [PARTS[word] for word in words if word in PARTS]
        if len(kinds) == 1 and len(kinds) + len(parts) == len(words) <= 2:
            part = names.setdefault(parts[0] if parts else ALL, {})
            if kinds[0] in part:
                raise ValueError(
                    f"{path} has {kinds[0]} twice: {part[kinds[0]]} and {name}"
                )
            part[kinds[0]] = name
        elif name != CLASS_NAMES:
            others.append(name)
    left_out = (f"{len(others)} arrays: {', '.join(others[:3])}",) if others else ()
    return names, left_out


def _check_parts(path, names):
    whole = all(len(kinds) == 2 for kinds in names.values())
    together = ALL in names and len(names) > 1
    if not whole or together or not (ALL in names or "train" in names):
        has = [name for kinds in names.values() for name in kinds.values()]
        raise ValueError(f"{path} must have the arrays {WANTED}; it has {has}")


def _images_and_labels(path, stored, names):
    """(n, h, w, channels) uint8 and (n,) integers."""
    images, labels = stored[names[IMAGES]], stored[names[LABELS]]
    image_name, label_name = names[IMAGES], names[LABELS]
    if images.dtype != np.uint8:
        raise ValueError(
            f"{image_name} in {path} must be uint8 pixels from 0 to 255, got "
            f"{images.dtype}: of values from 0 to 1 save np.uint8(np.round(255 * "
            f"{image_name}))"
        )
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape[1:]:
        raise ValueError(
            f"{image_name} in {path} must be (images, height, width) or (images, "
            f"height, width, 1 or 3), got {images.shape}"
        )
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]  # as Keras ships CIFAR-10
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(
            f"{label_name} in {path} must be one whole number for each image, got "
            f"{labels.dtype} {labels.shape}{_as_whole_numbers(label_name, labels)}"
        )
    if len(labels) != len(images):
        raise ValueError(
            f"{path} has {len(images)} images in {image_name}, and {len(labels)} "
            f"labels in {label_name}"
        )
    return images, labels.astype(np.int64)


def _as_whole_numbers(name, labels):
    """The way from such labels to whole numbers, in words that end a message."""
    kind = labels.dtype.kind
    if labels.ndim == 2 and kind in "iufb":
        return f": of one-hot rows save {name}.argmax(1)"
    if labels.ndim != 1:
        return ""
    if kind in "US":
        return (
            f": save np.unique({name}, return_inverse=True)[1], and as {CLASS_NAMES} "
            f"np.unique({name})"
        )
    if kind == "b" or (kind == "f" and np.array_equal(labels, np.floor(labels))):
        return f": save {name}.astype(int)"
    return ""


def _class_names(path, stored, labels):
    lowest, highest = (int(labels.min()), int(labels.max())) if len(labels) else (0, -1)
    if lowest < 0:
        raise ValueError(f"labels in {path} must be from 0 on, got {lowest}")
    if CLASS_NAMES not in stored:
        present = len(np.unique(labels))
        if present < highest + 1:
            raise ValueError(
                f"labels in {path} must be all of 0 to {highest}, got {present} of "
                f"them: save np.unique(y, return_inverse=True)[1], or {CLASS_NAMES}"
            )
        return tuple(map(str, range(highest + 1)))
    names = stored[CLASS_NAMES]
    if names.ndim != 1 or names.dtype.kind not in "US" or len(set(names)) < len(names):
        raise ValueError(
            f"{CLASS_NAMES} in {path} must be texts, one for each class, got "
            f"{names.dtype} {names.shape}"
        )
    if highest >= len(names):
        raise ValueError(
            f"{path} has {len(names)} {CLASS_NAMES} and the label {highest}"
        )
    if names.dtype.kind == "S":
        return tuple(name.decode(errors="backslashreplace") for name in names.tolist())
    return tuple(names.tolist())
