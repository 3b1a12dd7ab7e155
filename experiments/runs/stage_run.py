"""Runs one stage for one seed, and puts it in its place whole."""

import shutil
import time
from collections.abc import Callable

import keras

from compression import export
from experiments.files import write_json
from experiments.runs.begun import begin
from experiments.runs.environment import peak_memory
from experiments.runs.fingerprints import outdated, require_as_written, seal
from experiments.runs.layout import MeasureFolder, StageFolder, partial
from experiments.runs.prepared import Prepared
from experiments.stages.base import Job, Stage
from experiments.stages.teacher_cache import default_root
from experiments.stages.training_stage import TrainingStage
from experiments.training.progress import clock
from experiments.training.strategies import from_chief

WAIT, TRAIN = 0, 1  # what the chief has other workers do


def is_finished(this: Prepared, stage: Stage, seed: int) -> bool:
    """Whether a stage is finished, and was made from the models that there are now.

    Raises:
        ValueError: a file of it is missing or has changed.
    """
    return _changed(this, stage, seed) == []


def run_stage(
    this: Prepared, stage: Stage, seed: int, require: Callable[[], None] | None = None
) -> bool:
    """Run the stage unless it is finished, from its last checkpoint if there is one.

    Args:
        this: the run.
        stage: of its recipe.
        seed: of the run.
        require: called before the stage takes its place; raises where it must not.

    Returns:
        Whether it was run.

    Raises:
        ValueError: a file of the finished stage is missing or has changed.
    """
    changed = _changed(this, stage, seed)
    seed = 0 if stage.once else seed
    if changed == []:
        print(f"[seed {seed}] {stage.name}: finished before", flush=True)
        for path in this.home(stage, seed).only_while_unfinished():
            path.unlink()  # it was killed in between
        from_chief(this.strategy, WAIT)
        return False
    if changed:
        print(
            f"[seed {seed}] {stage.name}: finished before, but with another "
            f"{' and '.join(changed)} than there is now: run again",
            flush=True,
        )
    print(f"[seed {seed}] {stage.name}: {stage.what}", flush=True)
    done, inputs = this.home(stage, seed), this.inputs(stage, seed)
    unfinished = StageFolder(partial(done.path))
    read = begin(unfinished, stage, this.recipe, inputs)
    start = time.perf_counter()
    from_chief(this.strategy, TRAIN if isinstance(stage, TrainingStage) else WAIT)
    about = _computed(this, stage, seed)
    seconds = time.perf_counter() - start
    if require is not None:
        require()
    write_json(unfinished.about, about | {"seconds": round(seconds, 1)})
    write_json(unfinished.environment, this.here | peak_memory())
    seal(unfinished, read, besides=unfinished.only_while_unfinished())
    put_in_place(unfinished, done)
    for path in done.only_while_unfinished():  # now: a kill before costs no epoch
        path.unlink()
    print(f"  done in {clock(seconds)}", flush=True)
    return True


def train_along(this: Prepared, stage: Stage, seed: int) -> None:
    """What a worker that is not the chief does while the chief runs a stage."""
    if from_chief(this.strategy) == TRAIN:
        _computed(this, stage, 0 if stage.once else seed)


def _computed(this, stage, seed):
    """Do what the stage does, in the folder of what is not finished."""
    inputs = this.inputs(stage, seed)
    keras.backend.clear_session()
    # Seeded for each stage, so that it does not matter which ones were finished
    # before; the same seed, so that nets that are compared start from the same weights.
    keras.utils.set_random_seed(seed)
    return stage.run(
        Job(
            data=this.data_of(stage),
            augment=this.recipe.augment,
            seed=seed,
            folder=StageFolder(partial(this.home(stage, seed).path)),
            stages=this.recipe.stages,
            cache=default_root(),
            load=lambda name: _load(inputs[name]),
            facts_of=lambda name: inputs[name].read_about(),
            strategy=this.strategy,
        )
    )


def put_in_place(
    unfinished: StageFolder | MeasureFolder, done: StageFolder | MeasureFolder
) -> None:
    """What is written becomes what is finished, in place of what was there before."""
    former = partial(done.path.with_name(f"{done.path.name}.former"))
    shutil.rmtree(former, ignore_errors=True)
    if done.path.exists():  # of another input; gone at once for whoever looks
        done.path.rename(former)
    unfinished.path.rename(done.path)
    shutil.rmtree(former, ignore_errors=True)
    done.error.unlink(missing_ok=True)


def _changed(this, stage, seed):
    """Its inputs that are other models now; None: it is not finished."""
    done = this.home(stage, seed)
    if not this.folder.has(done.path):
        return None
    require_as_written(done)
    return outdated(done, this.inputs(stage, seed))


def _load(home: StageFolder) -> keras.Model:
    try:
        return export.load(home.model).model
    except ValueError as error:
        raise ValueError(
            f"{error}; delete its folder {home.path} to run that stage again"
        ) from error
