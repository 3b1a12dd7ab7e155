"""A recipe that can be run: checked, with its data, in a run folder of its own."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from compression.arguments import as_path, shown
from experiments import data as datasets
from experiments.data import Data, normalisation
from experiments.data.fewer import fewer
from experiments.files import write_json
from experiments.recipe import Recipe
from experiments.runs import order
from experiments.runs.alone import alone
from experiments.runs.environment import differences, environment, peak_memory
from experiments.runs.identity import (
    described,
    require_same_data,
    require_same_recipe,
)
from experiments.runs.layout import RunFolder, StageFolder
from experiments.stages.base import Stage
from experiments.stages.teacher_cache import default_root, require_writable

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True)
class Prepared:
    """What all parts of a run are done with.

    Attributes:
        recipe: what is run.
        folder: the run folder.
        seeds: the whole recipe is run for each.
        stages: those of the recipe that are run, in its order.
        data: the recipe's.
        own: those of stages that have their own, by the stage's name.
        command: how a person would ask for this run.
        strategy: of TensorFlow, by which devices train together; None: one trains.
    """

    recipe: Recipe
    folder: RunFolder
    seeds: Sequence[int]
    stages: Sequence[Stage]
    data: Data
    own: Mapping[str, Data]
    command: str
    strategy: "tf.distribute.Strategy | None" = None

    @cached_property
    def here(self) -> dict[str, Any]:
        """What this process runs on."""
        found = environment(self.command)
        if self.strategy is not None:
            found |= {"replicas": self.strategy.num_replicas_in_sync}
        return found

    def data_of(self, stage: Stage) -> Data:
        """What a stage learns from."""
        return self.own.get(stage.name, self.data)

    def home(self, stage: Stage, seed: int) -> StageFolder:
        """Where a stage is when it is finished."""
        return home(self.folder, stage, seed)

    def inputs(self, stage: Stage, seed: int) -> dict[str, StageFolder]:
        """Where those are that it reads, by their names."""
        seed = 0 if stage.once else seed
        return {name: self.home(self.recipe.stage(name), seed) for name in stage.inputs}

    def write(self) -> None:
        """Write what the run is, unless the folder is of other data.

        Raises:
            ValueError: the data have changed since the run began.
        """
        require_same_data(self.data, self.own, self.folder)
        for path, record in self._records().items():
            write_json(path, record)

    def write_what_is_missing(self) -> None:
        """Likewise, beside others who do the same: what is there is left alone."""
        require_same_data(self.data, self.own, self.folder)
        for path, record in self._records().items():
            if not path.exists():
                write_json(path, record)

    def note_environment(self) -> None:
        """Written before anything runs, so that no kill leaves a run without it."""
        if self.recipe.deterministic:
            import tensorflow as tf

            tf.config.experimental.enable_op_determinism()
        path = self.folder.environment
        if not path.exists():
            write_json(path, self.here | peak_memory())
            return
        different = differences(self.folder.read_environment(), self.here)
        if different:
            print(
                f"note: this run began elsewhere ({'; '.join(different)}); bits may "
                "differ from stage to stage, each stage's environment.json has its own",
                flush=True,
            )

    def note_end(self) -> None:
        """Once stages were run, the run's record has this process's peak memory."""
        write_json(self.folder.environment, self.here | peak_memory())

    def _records(self):
        recipe, folder = self.recipe, self.folder
        names = [stage.name for stage in self.stages]
        return {
            folder.recipe: recipe.as_dict(),
            folder.data: described(self.data, self.own),
            folder.declared: {s.name: s.declaration() for s in recipe.stages},
            folder.order: order.made(recipe, self.seeds, names, self.command),
        }


def prepared(
    recipe: Recipe,
    out: Path,
    *,
    seeds: Sequence[int] = (0,),
    stages: Sequence[str] | None = None,
    command: str = "",
    strategy: "tf.distribute.Strategy | None" = None,
) -> Prepared:
    """Check what can be checked before anything runs; writes nothing.

    Args:
        recipe: what to run.
        out: the run folder, which need not be there.
        seeds: the whole recipe is run for each.
        stages: names of the stages to run; None: all.
        command: how a person would ask for this run, for the record.
        strategy: of TensorFlow, by which devices train together; None: one trains.

    Raises:
        ValueError: the folder belongs to another recipe; there is no such stage, or a
            chosen stage needs one that is neither chosen nor finished; a stage cannot
            run on such data.
        OSError: teachers' outputs cannot be kept where they should be.
    """
    folder, seeds = RunFolder(as_path(out)), _seeds(seeds)
    if isinstance(stages, str):  # one alone may stand without a list
        stages = [stages]
    chosen = [recipe.stage(name) for name in stages or [s.name for s in recipe.stages]]
    chosen.sort(key=recipe.stages.index)
    require_same_recipe(recipe, folder)
    for seed in seeds:
        _require_inputs(recipe, chosen, folder, seed)
    names = dict.fromkeys((recipe.data, *(s.data for s in recipe.stages if s.data)))
    loaded = {name: _data(recipe, name) for name in names}  # each one once
    data = loaded[recipe.data]
    if recipe.train_images is not None:
        data = fewer(data, recipe.train_images)
    own = {stage.name: loaded[stage.data] for stage in recipe.stages if stage.data}
    _check(recipe, data, own)
    if any(_needs_cache(stage, folder, seed) for stage in chosen for seed in seeds):
        require_writable(default_root())
    return Prepared(recipe, folder, seeds, tuple(chosen), data, own, command, strategy)


def prepare(
    recipe: Recipe,
    out: Path,
    *,
    seeds: Sequence[int] = (0,),
    stages: Sequence[str] | None = None,
    command: str = "",
) -> Path:
    """Make the run folder and run nothing: `share.share` does; returns its path.

    Args and errors are those of `run.run`.
    """
    this = prepared(recipe, out, seeds=seeds, stages=stages, command=command)
    with alone(this.folder):
        this.write()
    return this.folder.path


def home(folder: RunFolder, stage: Stage, seed: int) -> StageFolder:
    """Where a stage is when it is finished."""
    return folder.stage(stage.name, seed, once=stage.once)


def _seeds(given):
    """Whole numbers from 0 on, each once."""
    found = tuple(given) if isinstance(given, Iterable) else given
    whole = isinstance(found, tuple) and all(
        isinstance(seed, Integral) and not isinstance(seed, bool) and seed >= 0
        for seed in found
    )
    if not whole or not found:
        raise ValueError(
            f"seeds must be whole numbers from 0 on, such as (0, 1, 2), got "
            f"{shown(given)}"
        )
    return tuple(dict.fromkeys(map(int, found)))


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
    return not home(folder, stage, seed).path.exists()


def _require_inputs(recipe, chosen, folder, seed):
    ready = {stage.name for stage in chosen}
    for stage in chosen:
        for needed in stage.inputs:
            there = home(folder, recipe.stage(needed), seed)
            if needed not in ready and not there.path.exists():
                raise ValueError(
                    f"stage {stage.name!r} needs {needed!r}, which is neither chosen "
                    f"nor finished in {folder.path} for seed {seed}"
                )
