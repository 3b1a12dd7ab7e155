"""Random images and a teacher's outputs for them, through the recipes' own pipeline."""

from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from compression.distillation.teacher import LOGITS
from experiments.data import Data, pipeline
from experiments.data.splits import Split

SIDE, CLASSES = 32, 10
MEAN, STD = (0.5,) * 3, (0.29,) * 3  # of even pixels, 1 / sqrt(12), to two places
SEED = 0
TEACHER_BATCH = 250  # images in a batch of the teacher's


class Streams(NamedTuple):
    """Endless batches of the same images in the same order."""

    alone: tf.data.Dataset
    with_index: tf.data.Dataset
    with_logits: tf.data.Dataset
    with_features: tf.data.Dataset


def random_data(images: int, distinct: int) -> Data:
    """Evenly random pixels and labels; `distinct` images are repeated in turn."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (distinct, SIDE, SIDE, 3), dtype="uint8")
    labels = random.integers(0, CLASSES, distinct)

    def split(name, size):
        return Split(
            name,
            size,
            images=np.resize(pixels, (size, SIDE, SIDE, 3)),
            labels=np.resize(labels, size),
        )

    return Data(
        name="random",
        image_shape=(SIDE, SIDE, 3),
        class_names=tuple(map(str, range(CLASSES))),
        train=split("train", images),
        validation=split("validation", distinct),
        test=split("test", 1),
        mean=MEAN,
        std=STD,
        flips=False,  # or the outputs of a repeated image would not repeat
    )


def outputs(teacher: keras.Model, data: Data, folder: Path) -> dict[str, np.memmap]:
    """All outputs of `teacher` for the train images, float16, in the memory map.

    It runs on the distinct images only; the rows repeat as the images do.

    Returns:
        name -> (1, images, ...), as the cache of a recipe gives them.
    """
    distinct = pipeline.evaluation_batches(data, "validation", batch_size=TEACHER_BATCH)
    parts = [teacher.predict_on_batch(images) for images, _ in distinct]
    mapped = {}
    for name in parts[0]:
        rows = np.concatenate([part[name] for part in parts]).astype("float16")
        path, shape = folder / f"{name}.npy", (1, data.train.size, *rows.shape[1:])
        array = np.lib.format.open_memmap(path, "w+", "float16", shape)
        for first in range(0, data.train.size, len(rows)):
            array[0, first : first + len(rows)] = rows[: data.train.size - first]
        array.flush()
        mapped[name] = np.load(path, mmap_mode="r")
    return mapped


def streams(data: Data, outputs: dict[str, np.memmap], batch: int) -> Streams:
    """The train batches for a net alone, for a distiller and for one with a cache.

    Args:
        data: the images.
        outputs: of the teacher, as `outputs` gives them.
        batch: images in a batch.
    """

    def batches(**options):
        return pipeline.training_batches(
            data, batch_size=batch, seed=SEED, **options
        ).dataset

    return Streams(
        alone=batches(),
        with_index=batches(with_index=True),
        with_logits=batches(with_index=True, teacher_outputs={LOGITS: outputs[LOGITS]}),
        with_features=batches(with_index=True, teacher_outputs=outputs),
    )
