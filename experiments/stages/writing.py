"""What a finished stage leaves: model, exports, history, and how to feed the files."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from compression import export
from compression.atomic import naming
from experiments.data import Data, pipeline
from experiments.deployment import Deployment
from experiments.files import write_json
from experiments.stages.base import Job, Stage
from experiments.training.fit import Trained

BATCH = 64  # images that are read together to calibrate


def finish(
    stage: Stage,
    model: keras.Model,
    job: Job,
    trained: Trained | None = None,
    *,
    calibration: Sequence[np.ndarray] | None = None,
    integer: Mapping[str, Any] | None = None,
    written: Sequence[Path] = (),
) -> dict[str, Any]:
    """Write everything; returns facts for the row.

    Args:
        stage: whose model it is.
        model: finished.
        job: where to write, and the data.
        trained: what a training left, for those that train.
        calibration: batches of train images that calibrate quantized exports.
        integer: options of `export.litert` for its int8 files.
        written: exports that a training may have written already, in its own way.
    """
    with naming(job.folder.model), _uncompiled(model):
        model.save(job.folder.model)
    calibrated = {} if calibration is None else {"calibration": calibration}
    deployment, exported = Deployment.of(job.data), []
    for form in stage.exports:
        path = job.folder.exported(form.format, form.precision)
        if path in written and path.exists():
            exported.append(path)
            continue
        if form.format == "litert":
            options = integer if form.precision == "int8" and integer else {}
            export.litert(
                model, path, precision=form.precision, **calibrated, **options
            )
        elif form.format == "archive":
            export.archive(model, path, **deployment.of_archive())
            continue  # no program reads it: it gives a Keras model again
        else:
            export.saved_model(model, path, weights=form.precision)
        exported.append(path)
    deployment.write(job.folder.deploy, exported)
    about = {"stage": stage.name, "net": model.name, "what": stage.what}
    if stage.once:
        about["once"] = True
    if trained:
        write_json(job.folder.history, trained.history)
        about |= {
            "epochs": len(trained.history["epoch"]),
            "best_epoch": trained.best_epoch,
            "validation_top1": trained.best_score,
        }
        if trained.images_per_second is not None:
            about["images_per_second"] = round(trained.images_per_second, 1)
    return about


@contextmanager
def _uncompiled(model: keras.Model) -> Iterator[None]:
    """As nobody had compiled it: the file is the net alone, which Keras itself loads.

    Else two thirds of it would be the optimizer's, and its loss a class of ours; of a
    .keras file Keras takes no heed of `include_optimizer`.
    """
    if not model.compiled:
        yield
        return
    before = model.compiled, model.optimizer
    model.compiled, model.optimizer = False, None
    try:
        yield
    finally:
        model.compiled, model.optimizer = before


def train_images(
    data: Data, count: int, *, batch_size: int = BATCH
) -> list[np.ndarray]:
    """The first train images, as they are evaluated, in batches."""
    batches = pipeline.first_batches(data, "train", count, batch_size=batch_size)
    return [images for images, _ in batches]
