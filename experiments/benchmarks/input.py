"""How fast images reach the device, beside a PyTorch DataLoader and Keras's own.

    limbeck bench input
    limbeck bench input --photos /path/to/folders --size 160

`photos`: JPEG files, a random window of each resized and mirrored, with and without
colour jitter. `small`: images of 32 px in memory, shifted and mirrored. `step`: a
training step on images that the pipeline gives, beside one on a batch that is there.

A loader is started anew for each of its turns: else it would fill its buffers while
others have theirs.
"""

import importlib.util
import io
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from experiments.benchmarks import fit_steps
from experiments.benchmarks.distill_data import random_data
from experiments.benchmarks.fit_steps import stepping
from experiments.benchmarks.keras_peers import compile_as_peers
from experiments.benchmarks.progress import log_rounds
from experiments.benchmarks.setting import (
    require_benchmarked,
    set_threads,
    torch_device,
)
from experiments.cores import usable_cores
from experiments.data import Data, pipeline
from experiments.data.augment import Augment
from experiments.data.decoding import decode_rgb_file, upright_jpeg_file
from experiments.data.image_files import find_images
from experiments.data.normalisation import FIXED, IMAGENET
from experiments.data.splits import Split

OURS, TORCH, KERAS = "limbeck", "PyTorch DataLoader", "Keras, whole images, mirrored"
AT_HAND, WITH_INPUT = "a batch that is there", "images of the pipeline"
JITTER = 0.4
# Name -> what its train images go through.
LOADED = {
    "photos": Augment(random_resized_crop=True, flip=True),
    "photos, jittered": Augment(
        random_resized_crop=True, flip=True, colour_jitter=JITTER
    ),
    "small": Augment(pad=4, flip=True),
}
STEP = "step"
ROUNDS, QUICK_ROUNDS = 11, 2
WARM_UP, BATCHES = 3, 20  # of a turn, untimed and timed
PHOTOS, SHORT_SIDE, CLASSES = 400, 256, 2


def run(  # noqa: PLR0913, all but one by keyword
    only: tuple[str, ...] | None = None,
    *,
    photos: Path | None = None,
    size: int = 224,
    rounds: int | None = None,
    threads: int | None = None,
    batch: int | None = None,
    quick: bool = False,
    log: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Time batches of images, and steps on them.

    Args:
        only: some of "photos", "small" and "step"; None: all.
        photos: a folder with a folder of JPEG files for each class; None: pieces of
            the two photographs that scikit-learn brings.
        size: side in pixels of a photograph that is given to a net.
        rounds: turns of each.
        threads: of TensorFlow, and the DataLoader's workers; None: all cores.
        batch: images in one.
        quick: two rounds of few images, to see that everything runs.
        log: called with each line of progress.

    Raises:
        ValueError: there is no such benchmark, a folder has no images, or the number
            of threads can no longer be changed.
    """
    known = ("photos", "small", STEP)
    only = known if only is None else only
    require_benchmarked(only, known)
    rounds = rounds or (QUICK_ROUNDS if quick else ROUNDS)
    batch = batch or (8 if quick else 64)
    batches = 1 if quick else BATCHES
    device, absent = torch_device()
    if device is not None and importlib.util.find_spec("torchvision") is None:
        absent = "torchvision is not installed: pip install 'limbeck[parity]'"
    with_torch = not absent
    setting = set_threads(threads, with_torch=with_torch)
    setting["workers"] = threads or usable_cores()
    rows = []

    def time_all(name, starts, base, images):
        log(f"{name}: starting")
        seconds = _in_turns(starts, batches, log_rounds(name, rounds, log), rounds)
        bases = dict.fromkeys(seconds.keys() - {base}, base)
        compared = fit_steps.compared(seconds, bases, images)
        rows.extend({"images": name, **row} for row in compared)

    with tempfile.TemporaryDirectory() as home:
        if "photos" in only and photos is None:
            log("photos: cutting them")
            photos = cut_photographs(Path(home), 40 if quick else PHOTOS)
        for name, augment in LOADED.items():
            if name.split(",")[0] not in only:
                continue
            loaders = _Loaders(batch, augment, setting["workers"], with_torch)
            small = name == "small"
            starts = loaders.of_small() if small else loaders.of_photos(photos, size)
            time_all(name, starts, OURS, batch)
    if STEP in only:
        time_all(STEP, _steps(2 * batch), AT_HAND, 2 * batch)
    return {
        "benchmark": "input",
        "rounds": rounds,
        "batch": batch,
        "size": size,
        "quick": quick,
        "absent": absent,
        "setting": setting,
        "results": rows,
    }


def _in_turns(starts, batches, on_round, rounds):
    """Seconds of a batch, a number a round; every second round goes backwards.

    Args:
        starts: case -> a call that starts it and gives a call of one batch.
    """
    seconds = {case: [] for case in starts}
    for number in range(1, rounds + 1):
        for case in list(starts)[:: 1 if number % 2 else -1]:
            take = starts[case]()
            for _ in range(WARM_UP):
                take()
            began = time.perf_counter()
            for _ in range(batches):
                take()
            seconds[case].append((time.perf_counter() - began) / batches)
            del take  # and with it a loader's threads or processes
        on_round(number)
    return seconds


def cut_photographs(home: Path, count: int) -> Path:
    """Writes so many pieces of scikit-learn's two photographs as JPEG; a class each."""
    from sklearn.datasets import load_sample_images

    random = np.random.default_rng(0)
    for label, image in enumerate(load_sample_images().images):
        folder = home / str(label)
        folder.mkdir()
        for number in range(count // CLASSES):
            height, width = (SHORT_SIDE, random.integers(SHORT_SIDE, 400))
            top = random.integers(0, image.shape[0] - height + 1)
            left = random.integers(0, image.shape[1] - width + 1)
            piece = image[top : top + height, left : left + width]
            file = io.BytesIO()
            Image.fromarray(piece).save(file, "JPEG", quality=90)
            (folder / f"{number}.jpg").write_bytes(file.getvalue())
    return home


class _Loaders:
    """Calls that start a loader, and give a call that takes one batch of it."""

    def __init__(self, batch: int, augment: Augment, workers: int, with_torch: bool):
        self.batch, self.augment = batch, augment
        self.workers, self.with_torch = workers, with_torch

    def of_photos(self, folder: Path, size: int) -> dict[str, Callable]:
        found = find_images(folder)
        train = Split(
            "train",
            len(found.paths),
            paths=np.array([os.fsencode(path) for path in found.paths], object),
            labels=found.labels,
            decode=decode_rgb_file,
            jpeg=upright_jpeg_file,
        )
        starts = {OURS: self._ours(_data(train, size))}
        if self.with_torch:
            from experiments.benchmarks import torch_input

            jitter = self.augment.colour_jitter
            images = torch_input.of_files(folder, size, jitter)
            starts[TORCH] = self._of_torch(images)
        if not self.augment.colour_jitter:
            starts[KERAS] = _taking(self._of_keras(folder, size))
        return starts

    def of_small(self) -> dict[str, Callable]:
        data = random_data(50_000, 1000)
        starts = {OURS: self._ours(data)}
        if self.with_torch:
            from experiments.benchmarks import torch_input

            train = data.train
            starts[TORCH] = self._of_torch(
                torch_input.of_arrays(train.images, train.labels, self.augment.pad)
            )
        return starts

    def _ours(self, data):
        options = {"batch_size": self.batch, "seed": 0, "augment": self.augment}
        return _taking(pipeline.training_batches(data, **options).dataset)

    def _of_torch(self, images):
        from experiments.benchmarks import torch_input

        return _taking(torch_input.batches(images, self.batch, self.workers))

    def _of_keras(self, folder, size):
        images = keras.utils.image_dataset_from_directory(
            str(folder),
            image_size=(size, size),
            crop_to_aspect_ratio=True,
            batch_size=self.batch,
            shuffle=True,
            seed=0,
            verbose=False,
        )
        mirror = keras.layers.RandomFlip("horizontal", seed=0)
        scale = keras.layers.Rescaling(1 / 255)
        images = images.map(
            lambda image, label: (scale(mirror(image, training=True)), label),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        return images.repeat().prefetch(tf.data.AUTOTUNE)


def _taking(batches):
    """A call that begins with `batches` anew, and gives a call of the next one."""

    def start():
        left = iter(batches)
        return lambda: next(left)

    return start


def _data(train, size):
    mean, std = FIXED[IMAGENET]
    return Data(
        name="photos",
        image_shape=(size, size, 3),
        class_names=tuple(str(label) for label in range(max(train.labels) + 1)),
        train=train,
        validation=train,
        test=train,
        mean=mean,
        std=std,
        flips=True,
    )


def _steps(batch):
    options = {"batch_size": batch, "seed": 0, "augment": LOADED["small"]}
    streamed = pipeline.training_batches(random_data(50_000, 1000), **options).dataset
    [first] = streamed.take(1)
    images = {
        AT_HAND: tf.data.Dataset.from_tensors(first).repeat(),
        WITH_INPUT: streamed,
    }
    starts = {}
    for case, batches in images.items():
        model = fit_steps.resnet()
        compile_as_peers(model)
        starts[case] = lambda model=model, data=batches: stepping(model, data, 1)
    return starts
