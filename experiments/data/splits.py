"""What a dataset is: three splits, their pixel statistics, and how splits are cut."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

MEMORY_LIMIT = 2**30  # bytes of uint8 pixels, all splits together; more is streamed
SAMPLE = 1000  # leading train images, whose statistics stand for all if not in memory
CHUNK = 4096  # images that are turned into floats at a time
CHUNK_PIXELS = 2**24  # likewise, at most: images of 64 px are as many as that
VALIDATION_SHARE, TEST_SHARE = 0.1, 0.2  # of each class, where nobody split for us
SPLIT_SEED = 0  # never a recipe's seed: every run sees the same three parts


@dataclass(frozen=True, eq=False)
class Split:
    """One part of a dataset, always in the same order.

    Exactly one of `images`, `paths` and `stream` is there. The last two give scalar
    strings, a file's path or its bytes, that `decode` turns into pixels of any size.

    Args:
        name: "train", "validation" or "test".
        size: number of images.
        images: (size, height, width, channels) uint8, the data's image shape.
        paths: (size,) paths of image files, as bytes.
        stream: makes the tf.data.Dataset of (encoded bytes, label), in order.
        labels: (size,) int64, or None where only the stream knows them.
        decode: scalar string tensor -> (h, w, channels) uint8 tensor.
        jpeg: scalar string tensor -> the image's bytes, and whether they are JPEG of
            which `decode` gives the pixels as they lie: it need not be decoded whole.
            None: it must be.
    """

    name: str
    size: int
    images: np.ndarray | None = None
    paths: np.ndarray | None = None
    stream: Callable | None = None
    labels: np.ndarray | None = None
    decode: Callable | None = None
    jpeg: Callable | None = None

    @property
    def in_memory(self) -> bool:
        return self.images is not None

    def only(self, index: np.ndarray) -> "Split":
        """The images at `index`, in that order; of a split that is no stream."""
        return replace(
            self,
            size=len(index),
            labels=self.labels[index],
            images=None if self.images is None else self.images[index],
            paths=None if self.paths is None else self.paths[index],
        )


@dataclass(frozen=True, eq=False)
class Data:
    """A dataset that is ready to train on.

    Args:
        name: what `load` was asked for.
        image_shape: (height, width, channels) of every image; channels is 1 or 3.
        class_names: label i is class_names[i].
        train, validation, test: the three parts; no image is in two of them.
        mean, std: of the train pixels / 255, per channel; of the first 1,000 images
            where they are not in memory.
        flips: whether a mirrored image keeps its label (not so for digits).
        note: what must stand at every table of this data, "" if nothing.
        bad_images: files that were skipped because they could not be read.
        left_out: what else of a folder was not taken: a line for each reason.
    """

    name: str
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]
    flips: bool
    note: str = ""
    bad_images: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @cached_property
    def colour_components(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues (3,), largest first, and eigenvectors (3, 3), in columns, of the
        covariance of the RGB train pixels / 255, of the same images as `mean`.

        Raises:
            ValueError: the images are not RGB.
        """
        if self.image_shape[-1] != 3:
            raise ValueError(f"{self.name} has no colours: images {self.image_shape}")
        count, total, products = 0, np.zeros(3), np.zeros((3, 3))
        for chunk in _pixel_chunks(self.train, self.image_shape):
            pixels = chunk.reshape(-1, 3).astype(np.float64) / 255
            count += len(pixels)
            total += pixels.sum(axis=0)
            products += pixels.T @ pixels
        mean = total / count
        values, vectors = np.linalg.eigh(products / count - np.outer(mean, mean))
        return values[::-1].copy(), vectors[:, ::-1].copy()


def pixel_statistics(
    train: Split, image_shape: tuple[int, int, int]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of pixels / 255 per channel, from exact counts.

    A channel that never changes gets deviation 1, so that it can be divided by.
    """
    channels = image_shape[-1]
    counts = np.zeros((channels, 256), np.int64)
    for chunk in _pixel_chunks(train, image_shape):
        for channel in range(channels):
            values = chunk[..., channel].ravel()
            counts[channel] += np.bincount(values, minlength=256)
    share = counts / counts.sum(axis=1, keepdims=True)
    level = np.arange(256) / 255
    mean = share @ level
    std = np.sqrt((share * (level - mean[:, None]) ** 2).sum(axis=1))
    std[std == 0] = 1.0
    return tuple(mean.tolist()), tuple(std.tolist())


def _pixel_chunks(
    train: Split, image_shape: tuple[int, int, int]
) -> Iterator[np.ndarray]:
    if train.in_memory:
        yield from chunks(train.images, image_shape)
        return
    from experiments.data.decoding import fitted  # the only need of TensorFlow here

    if train.paths is not None:
        sources = train.paths[:SAMPLE]
    else:
        sources = (encoded for encoded, _ in train.stream().take(SAMPLE))
    for source in sources:
        yield fitted(train.decode(source), image_shape[0]).numpy()


def chunk_size(image_shape: Sequence[int]) -> int:
    """How many images of (height, width, channels) are worked on at a time."""
    return min(CHUNK, max(1, CHUNK_PIXELS // (image_shape[0] * image_shape[1])))


def chunks(images: np.ndarray, image_shape: Sequence[int]) -> list[np.ndarray]:
    """`images` in parts to be worked on at a time, at least one; views of them.

    Args:
        images: (n, height, width, channels).
        image_shape: what they will be, (height, width, ...): large ones are few.
    """
    count = chunk_size(image_shape)
    return np.split(images, range(count, len(images), count))


def spread(counts: np.ndarray, total: int) -> np.ndarray:
    """Shares `total` among classes in proportion to `counts` (largest remainders)."""
    exact = counts * (total / counts.sum())
    shares = np.floor(exact).astype(np.int64)
    neediest = np.argsort(shares - exact, kind="stable")[: total - shares.sum()]
    shares[neediest] += 1
    return shares


def seventy_ten_twenty(
    labels: np.ndarray, *, validation: int | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices of a stratified train, validation and test split of unsplit data.

    Validation and test get at least one image of each class, which must have three;
    a number for `validation` overrides its tenth.
    """
    counts = np.bincount(labels)
    test = np.maximum(1, np.round(counts * TEST_SHARE)).astype(np.int64)
    if validation is None:
        held_out = np.maximum(1, np.round(counts * VALIDATION_SHARE)).astype(np.int64)
    else:
        check_validation(validation, int((counts - test).sum()))
        held_out = spread(counts - test, validation)
    return stratified_cut(labels, validation=held_out, test=test)


def stratified_cut(
    labels: np.ndarray, *, validation: np.ndarray, test: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices of train, validation and test, each in one fixed mixed order.

    Args:
        labels: (n,) integers in [0, classes).
        validation, test: (classes,) how many images of each class to cut off.
    """
    keys = np.random.default_rng(SPLIT_SEED).random(len(labels))
    order = np.argsort(keys, kind="stable")
    shuffled = labels[order]
    by_class = np.argsort(shuffled, kind="stable")
    counts = np.bincount(labels, minlength=len(test))
    first = np.cumsum(counts) - counts
    rank = np.empty(len(labels), np.int64)  # of an image within its own class
    rank[by_class] = np.arange(len(labels)) - first[shuffled[by_class]]
    is_test = rank < test[shuffled]
    is_validation = ~is_test & (rank < (test + validation)[shuffled])
    return order[~is_test & ~is_validation], order[is_validation], order[is_test]


def require_labels(data: Data, user: str) -> np.ndarray:
    """Labels of the train split, before it is gone through.

    Args:
        data: the dataset.
        user: what needs them, for the message.

    Raises:
        ValueError: the split is a stream.
    """
    if data.train.labels is None:
        raise ValueError(
            f"{user} needs the labels of the train split at hand, but {data.name} is "
            "streamed: use a folder of images (folder:PATH), or images in memory"
        )
    return data.train.labels


def check_validation(validation: int, available: int) -> None:
    """Raises ValueError unless 1 <= `validation` < `available` train images."""
    if not 1 <= validation < available:
        raise ValueError(
            f"validation must be between 1 and {available - 1} images that are cut "
            f"from {available}, got {validation}"
        )
