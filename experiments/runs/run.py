"""Runs a recipe in a run folder: what is not finished yet, then the measurements.

What a run folder holds, and where, stands in `layout.py`.
"""

import dataclasses
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras

from compression import export
from compression.atomic import replacing
from experiments import data as datasets
from experiments.data import Data, normalisation
from experiments.files import write_json
from experiments.recipe import Recipe
from experiments.runs.alone import alone
from experiments.runs.begun import begin
from experiments.runs.environment import differences, environment, peak_memory
from experiments.runs.fingerprints import (
    of_file,
    outdated,
    require_as_written,
    seal,
)
from experiments.runs.identity import (
    described,
    require_same_data,
    require_same_recipe,
)
from experiments.runs.layout import RunFolder, StageFolder, partial
from experiments.runs.measuring import measured_rows
from experiments.stages.base import Job, Stage
from experiments.stages.teacher_cache import default_root, require_writable
from experiments.training.progress import clock


def run(
    recipe: Recipe,
    out: Path,
    *,
    seeds: Sequence[int] = (0,),
    stages: Sequence[str] | None = None,
    command: str = "",
) -> Path:
    """Run what is not finished yet, measure, and write the rows; returns `out`.

    Args:
        recipe: what to run.
        out: the run folder; made if need be.
        seeds: the whole recipe is run for each.
        stages: names of the stages to run; None: all.
        command: how a person would ask for this run, for the record.

    Raises:
        ValueError: the folder belongs to another recipe, or the data have changed
            since; there is no such stage, or a chosen stage needs one that is neither
            chosen nor finished.
        BlockingIOError: another process is running in that folder.
    """
    folder = RunFolder(Path(out))
    chosen = [recipe.stage(name) for name in stages or [s.name for s in recipe.stages]]
    chosen.sort(key=recipe.stages.index)
    require_same_recipe(recipe, folder)
    for seed in seeds:
        _require_inputs(recipe, chosen, folder, seed)
    names = dict.fromkeys((recipe.data, *(s.data for s in recipe.stages if s.data)))
    loaded = {name: _data(recipe, name) for name in names}  # each one once
    data = loaded[recipe.data]
    own = {stage.name: loaded[stage.data] for stage in recipe.stages if stage.data}
    _check(recipe, data, own)
    if any(_needs_cache(stage, folder, seed) for stage in chosen for seed in seeds):
        require_writable(default_root())
    with alone(folder):
        require_same_data(data, own, folder)
        write_json(folder.recipe, recipe.as_dict())
        write_json(folder.data, described(data, own))
        write_json(folder.declared, {s.name: s.declaration() for s in recipe.stages})
        if recipe.deterministic:
            import tensorflow as tf

            tf.config.experimental.enable_op_determinism()
        here = environment(command)
        _note_environment(folder, here)
        any_ran = False
        for seed in seeds:
            for stage in chosen:
                its_data = own.get(stage.name, data)
                ran = _run_stage(stage, recipe, its_data, folder, seed, here)
                any_ran |= ran
            _measure(recipe, data, folder, seed)
            _write_rows(recipe, folder)
        if any_ran:  # else the record of what did run stays; now with its peak memory
            write_json(folder.environment, here | peak_memory())
    return out


def _note_environment(folder, here):
    """Written before anything runs, so that no kill leaves a run without it."""
    if not folder.environment.exists():
        write_json(folder.environment, here | peak_memory())
        return
    different = differences(folder.read_environment(), here)
    if different:
        print(
            f"note: this run began elsewhere ({'; '.join(different)}); bits may differ "
            "from stage to stage, each stage's environment.json has its own",
            flush=True,
        )


def _data(recipe, name):
    found = datasets.load(
        name,
        image_size=recipe.image_size,
        skip_bad_images=recipe.skip_bad_images,
    )
    if recipe.normalisation is None:
        return found
    if isinstance(recipe.normalisation, str):
        return normalisation.normalised(found, recipe.normalisation)
    mean, std = recipe.normalisation
    return dataclasses.replace(found, mean=mean, std=std)


def _check(recipe: Recipe, data: Data, own: Mapping[str, Data]) -> None:
    """Whatever can be refused is refused before the first stage runs."""
    models: dict[str, keras.Model] = {}
    for stage in recipe.stages:
        its_data = own.get(stage.name, data)
        stage.check_images(its_data, recipe.augment)
        models[stage.name] = stage.check(its_data, models)
        stage.check_exports(models[stage.name])


def _needs_cache(stage, folder, seed):
    """Whether a stage that is not finished will keep a teacher's outputs."""
    if stage.teaching is None or stage.teaching.views is None:
        return False
    return not _home(stage, folder, seed).path.exists()


def _run_stage(stage, recipe, data, folder, seed, here):  # noqa: PLR0913
    """Run the stage unless it is finished; returns whether it was run."""
    done = _home(stage, folder, seed)
    seed = 0 if stage.once else seed
    inputs = {name: _home(recipe.stage(name), folder, seed) for name in stage.inputs}
    if done.path.exists():
        require_as_written(done)
        changed = outdated(done, inputs)
        if not changed:
            print(f"[seed {seed}] {stage.name}: finished before", flush=True)
            return False
        print(
            f"[seed {seed}] {stage.name}: finished before, but with another "
            f"{' and '.join(changed)} than there is now: run again",
            flush=True,
        )
    print(f"[seed {seed}] {stage.name}: {stage.what}", flush=True)
    unfinished = StageFolder(partial(done.path))
    read = begin(unfinished, stage, recipe, inputs)
    keras.backend.clear_session()
    # Seeded for each stage, so that it does not matter which ones were finished
    # before; the same seed, so that nets that are compared start from the same weights.
    keras.utils.set_random_seed(seed)
    start = time.perf_counter()
    about = stage.run(
        Job(
            data=data,
            augment=recipe.augment,
            seed=seed,
            folder=unfinished,
            stages=recipe.stages,
            cache=default_root(),
            load=lambda name: _load(inputs[name]),
        )
    )
    seconds = time.perf_counter() - start
    write_json(unfinished.about, about | {"seconds": round(seconds, 1)})
    for checkpoint in unfinished.checkpoints():
        checkpoint.unlink()
    unfinished.begun.unlink()
    write_json(unfinished.environment, here | peak_memory())
    seal(unfinished, read)
    shutil.rmtree(done.path, ignore_errors=True)  # of another input, see above
    unfinished.path.rename(done.path)
    print(f"  done in {clock(seconds)}", flush=True)
    return True


def _home(stage: Stage, folder: RunFolder, seed: int) -> StageFolder:
    return folder.stage(stage.name, seed, once=stage.once)


def _load(home: StageFolder) -> keras.Model:
    try:
        return export.load(home.model).model
    except ValueError as error:
        raise ValueError(
            f"{error}; delete its folder {home.path} to run that stage again"
        ) from error


def _measure(recipe, data, folder, seed):
    """Measure the finished stages together, unless these very files were measured."""
    finished = {
        stage: home
        for stage in recipe.stages
        if stage.exports and (home := _home(stage, folder, seed)).path.exists()
    }
    if not finished:
        return
    done = folder.measure(seed)
    if done.rows.exists() and _files_of(done.read_rows()) == [
        of_file(home.exported(form.format, form.precision))
        for stage, home in finished.items()
        for form in stage.exports
    ]:
        return  # `_write_rows` looks whether they are what was measured
    print(f"[seed {seed}] measure: every exported file on the test images", flush=True)
    unfinished = dataclasses.replace(done, path=partial(done.path))
    shutil.rmtree(unfinished.path, ignore_errors=True)
    unfinished.path.mkdir(parents=True)
    keras.backend.clear_session()
    measured = measured_rows(finished, data, unfinished, folder)
    write_json(unfinished.rows, [row | {"seed": seed} for row in measured])
    seal(unfinished, {})
    shutil.rmtree(done.path, ignore_errors=True)
    unfinished.path.rename(done.path)


def _files_of(rows):
    """The fingerprints of the files that were measured; None from earlier versions."""
    return [file.get("sha256") for row in rows for file in row["files"]]


def _write_rows(recipe, folder):
    """Gather the rows of all seeds, also of those that an earlier call has run."""
    order = [stage.name for stage in recipe.stages]
    gathered = []
    for measured in folder.measured():
        require_as_written(measured)
        rows = measured.read_rows()
        strange = [row["stage"] for row in rows if row["stage"] not in order]
        if strange:
            raise ValueError(
                f"{measured.rows} has a row of {strange[0]!r}, which is no stage of "
                f"this recipe; delete the folder {measured.path} to measure again"
            )
        gathered += rows
    gathered.sort(key=lambda row: (row["seed"], order.index(row["stage"])))
    with replacing(folder.rows) as beside:
        beside.write_text("".join(json.dumps(row) + "\n" for row in gathered))


def _require_inputs(recipe, chosen, folder, seed):
    ready = {stage.name for stage in chosen}
    for stage in chosen:
        for needed in stage.inputs:
            home = _home(recipe.stage(needed), folder, seed)
            if needed not in ready and not home.path.exists():
                raise ValueError(
                    f"stage {stage.name!r} needs {needed!r}, which is neither chosen "
                    f"nor finished in {folder.path} for seed {seed}"
                )
