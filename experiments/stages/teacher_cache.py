"""A teacher's outputs for a run's images, from the cache that all runs share."""

import math
import os
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import keras

from architectures.download import default_cache
from compression.distillation import (
    CachedOutputs,
    Views,
    cached_outputs,
    teacher_features,
    teacher_outputs,
)
from experiments.data import Data, pipeline
from experiments.data.augment import Augment
from experiments.data.fingerprint import fingerprint
from experiments.runs.former import LATER
from experiments.stages.base import Job

if TYPE_CHECKING:
    from experiments.stages.training_stage import TrainingStage

BATCH = 256  # images that the teacher looks at together
BUDGET_GB = 20.0
OTHER_ROOT = "set LIMBECK_CACHE or XDG_CACHE_HOME to a folder that can be written"


class CachedTeacher(NamedTuple):
    """A teacher's outputs for views of all train images, and for the validation."""

    train: CachedOutputs
    validation: CachedOutputs

    @property
    def about(self) -> dict[str, int]:
        """For the row: bytes, and numbers of images computed and reused."""
        return {
            name: getattr(self.train, name) + getattr(self.validation, name)
            for name in ("bytes", "computed", "reused")
        }


def cached_teacher(
    teacher: keras.Model,
    data: Data,
    *,
    views: int,
    seed: int,
    augment: Augment,
    root: Path,
) -> CachedTeacher:
    """The teacher's outputs, computed where `root` does not hold them yet.

    Args:
        teacher: as for `cached_outputs`.
        data: whose train and validation splits it looks at.
        views: number of fixed views of each train image.
        seed: of the run.
        augment: what makes the views differ.
        root: of the cache, see `default_root`.

    Raises:
        ValueError: as `cached_outputs`, or LIMBECK_CACHE_GB is no size.
        OSError: `root` cannot be written.
    """
    require_writable(root)

    def view_batches(view, first):
        return pipeline.view_batches(
            data, view=view, seed=seed, augment=augment, batch_size=BATCH, first=first
        )

    def validation_batches(view, first):
        return pipeline.evaluation_batches(
            data, "validation", batch_size=BATCH, first=first
        )

    made_by = {"seed": seed, "augment": _changes(augment), "flips": data.flips}
    if augment.random_resized_crop and not data.train.in_memory:
        made_by["windows"] = pipeline.WINDOWS_VERSION
    on_train = Views(
        view_batches, data.train.size, _key(data, "train") | made_by, count=views
    )
    on_validation = Views(
        validation_batches, data.validation.size, _key(data, "validation")
    )
    budget = _budget()
    return CachedTeacher(
        cached_outputs(teacher, on_train, root=root, budget=budget, log=_log),
        cached_outputs(teacher, on_validation, root=root, budget=budget, log=_log),
    )


def shared_outputs(
    stage: "TrainingStage", teacher: keras.Model, student: keras.Model, job: Job
) -> keras.Model:
    """The teacher with all outputs that this recipe's students need of it.

    One cache for all: the teacher looks at an image once, not once for each method.

    Args:
        stage: that learns from it now.
        teacher: its model.
        student: the net of `stage`.
        job: whose stages are looked through.
    """
    features = []
    for start, lessons in _lessons(stage.teacher, job):
        net = start.built(job.data)
        for teaching in lessons:
            for loss in teaching.losses(job.data.train.size):
                features += teacher_features(loss, teacher, net)
    for loss in stage.teaching.losses(job.data.train.size):
        features += teacher_features(loss, teacher, student)
    return teacher_outputs(teacher, student, features)


def _lessons(teacher, job):
    """Nets that stages start from, and how `teacher` teaches them: each once."""
    found = []  # neither a net nor a teaching can be a key
    for other in job.stages:
        if other.teacher != teacher or isinstance(other.start, str):
            continue
        lessons = next((known for start, known in found if start == other.start), None)
        if lessons is None:
            lessons = []
            found.append((other.start, lessons))
        alike = replace(other.teaching, weighed_by=None)
        if alike not in lessons:
            lessons.append(alike)
    return found


def default_root() -> Path:
    """LIMBECK_CACHE, or `limbeck/teachers` in the user's folder for caches.

    Raises:
        OSError: there is no home folder.
    """
    own = os.environ.get("LIMBECK_CACHE")
    if not own:  # an empty one would be the working directory
        return default_cache("teachers' outputs", OTHER_ROOT) / "teachers"
    try:
        return Path(own).expanduser()
    except RuntimeError as error:  # of pathlib's
        raise OSError(
            f"teachers' outputs cannot be kept in {own}, there is no home folder: "
            f"{OTHER_ROOT}"
        ) from error


def require_writable(root: Path) -> None:
    """Make the folder of all caches where it is missing, and try to write there.

    Raises:
        OSError: it cannot be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=root).close()
    except OSError as error:
        raise OSError(
            f"teachers' outputs cannot be kept in {root} ({error.strerror}): "
            f"{OTHER_ROOT}, or views=None, which runs the teacher in every step"
        ) from error


def _budget():
    """Bytes, from LIMBECK_CACHE_GB where it is set."""
    given = os.environ.get("LIMBECK_CACHE_GB") or BUDGET_GB
    try:
        gigabytes = float(given)
    except ValueError:
        gigabytes = -1
    if not 0 <= gigabytes < math.inf:
        raise ValueError(f"LIMBECK_CACHE_GB must be a number of GB, got {given!r}")
    return int(gigabytes * 1e9)


def _key(data, split_name) -> dict[str, Any]:
    return {
        "data": data.name,
        "split": split_name,
        "images": fingerprint(getattr(data, split_name)),
        "image_shape": list(data.image_shape),
        "mean": list(data.mean),
        "std": list(data.std),
        "version": pipeline.VIEWS_VERSION,
    }


def _changes(augment) -> dict[str, Any]:
    """Without what came later and is off: older caches stay those of their views."""
    return {
        name: value
        for name, value in asdict(augment).items()
        if name not in LATER["augment"] or value is not None
    }


def _log(line):
    print(line, flush=True)
