"""One stage by itself, on a model in a file: without a recipe, or a run folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from experiments.data import Data
from experiments.data.augment import Augment
from experiments.runs.layout import StageFolder
from experiments.stages.base import Job, Stage


def check_one(stage: Stage, data: Data, augment: Augment) -> None:
    """Raises ValueError where the stage cannot run on such data."""
    stage.check_images(data, augment)
    stage.check_exports(stage.check(data, {}))


def run_one(  # noqa: PLR0913, all but three by keyword
    stage: Stage,
    data: Data,
    folder: Path,
    *,
    seed: int,
    augment: Augment,
    load: Callable[[str], keras.Model] = {}.__getitem__,
    cache: Path | None = None,
) -> dict[str, Any]:
    """Runs a stage by itself; returns facts, as its row would have them.

    Args:
        stage: to run.
        data: from `load`.
        folder: where it writes, see `StageFolder`.
        seed: of all randomness, 0 or more.
        augment: what training images go through.
        load: gives the models of stages that it names, which starts or teaches it;
            a stage that starts from a net or a file and has no teacher names none.
        cache: where a teacher's outputs are kept; None: in `folder`.
    """
    keras.utils.set_random_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    job = Job(
        data=data,
        augment=augment,
        seed=seed,
        folder=StageFolder(folder),
        stages=(stage,),
        cache=cache or folder,
        load=load,
    )
    return stage.run(job)
