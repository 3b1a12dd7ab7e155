"""The parts of `limbeck bench scale` on one folder of images, in a process of its own.

    python -m experiments.benchmarks.scale_process JOB

Prints a JSON object: for each part the images that it went through and its seconds, and
the memory that the process had taken at most by its end.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import keras

import architectures
from compression import export, measure, pruning
from experiments.benchmarks.setting import set_threads
from experiments.data import load, pipeline
from experiments.data.augment import Augment
from experiments.data.pipeline import first_batches
from experiments.runs.environment import peak_memory
from experiments.stages.teacher_cache import BATCH, cached_teacher
from experiments.training.fit import fit
from experiments.training.optimizers import LabelLoss
from experiments.training.settings import Training

SHIFTED = Augment(pad=2, flip=False)
EPOCHS = 2  # the second is timed: the first one compiles the step


def main(job: dict[str, Any]) -> dict[str, Any]:
    """The figures of all parts.

    Args:
        job: "folder", "threads" of TensorFlow or None, and "batch".
    """
    set_threads(job["threads"], with_torch=False)
    parts = {}

    def note(name, images, seconds):
        parts[name] = {"images": images, "seconds": seconds, **peak_memory()}

    began = time.perf_counter()
    data = load(f"folder:{job['folder']}", image_size=28)
    seconds = time.perf_counter() - began
    note("read", data.train.size + data.validation.size + data.test.size, seconds)
    keras.utils.set_random_seed(0)
    net = architectures.build(
        "resnet20",
        input_shape=data.image_shape,
        classes=len(data.class_names),
        width=0.25,
    )
    with tempfile.TemporaryDirectory() as home:
        home = Path(home)
        steps = pipeline.steps_per_epoch(data, job["batch"])
        shown = steps * min(job["batch"], data.train.size)
        note("train", shown, _train(net, data, job["batch"], home))
        _warm_up(net, data)
        seen = data.train.size + data.validation.size
        note("cache", seen, _seconds(lambda: _cache(net, data, home)))
        file = home / "net.tflite"
        export.litert(net, file)
        measure.logits(file, first_batches(data, "validation", 1))
        note("measure", data.test.size, _seconds(lambda: _measure(file, data)))
    note("plan", 1, _seconds(lambda: pruning.plan_channels(net, macs=0.5)))
    return {"parts": parts, "in_memory": data.train.in_memory}


def _seconds(call):
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _train(net, data, batch_size, home):
    clock = _Clock()
    fit(
        net,
        lambda epoch: pipeline.training_batches(
            data, batch_size=batch_size, seed=0, augment=SHIFTED, first_epoch=epoch
        ),
        pipeline.evaluation_batches(data, "validation"),
        Training(epochs=EPOCHS, batch_size=batch_size),
        loss=LabelLoss(),
        checkpoint=home / "checkpoint.npz",
        callbacks=[clock],
    )
    return clock.seconds


class _Clock(keras.callbacks.Callback):
    """How long the steps of the last epoch took."""

    def on_epoch_begin(self, epoch, logs=None):
        self._began = time.perf_counter()

    def on_test_begin(self, logs=None):
        self.seconds = time.perf_counter() - self._began


def _warm_up(net, data):
    """A pass of few images: what is compiled, is compiled before."""
    [(images, _), *_] = first_batches(data, "train", BATCH, batch_size=BATCH)
    net.predict_on_batch(images)


def _cache(net, data, home):
    cached_teacher(net, data, views=1, seed=0, augment=SHIFTED, root=home / "cache")


def _measure(file, data):
    measure.logits(file, pipeline.evaluation_batches(data, "test"))


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
