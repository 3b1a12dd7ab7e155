"""Promising candidates, each trained for a short time; the given model teaches."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import optuna

from compression import export, measure
from experiments.data import Data
from experiments.data.augment import Augment
from experiments.runs.layout import SearchFolder, StageFolder
from experiments.search import proxies
from experiments.search.candidate import BUDGETS, ROUND_TO, WIDTHS, Candidate
from experiments.search.clock import Clock
from experiments.search.estimates import Estimates
from experiments.search.files import Files
from experiments.search.lessons import Lessons
from experiments.search.pace import Pace
from experiments.search.trials import Trials, Tried
from experiments.stages.one import run_one
from experiments.stages.teacher_cache import default_root
from experiments.stages.teaching import Teaching
from experiments.training.settings import Training

UNTIL = 0.5  # of the time
TRAININGS = 8  # into which its share of the time is divided
LONG_TRAININGS = 3  # that fit into it where already one epoch is longer
LONGEST = 20  # epochs
MOST = 80  # candidates, those that take too much counted
LATE = 12  # likewise, after that time, while none has fitted
ROOMY, NEARLY = 0.8, 2.0  # of a limit: much is left, a little too much is taken
SAFE = 0.95  # of what would just fit
AWARE_SHARE = 0.25  # of a training's epochs, with the rounding
AWARE_RATE = 0.1  # of the learning rate, then
TRAINED, AWARE = "trained", "aware"  # stages: a candidate, and with its rounding


@dataclass(frozen=True)
class School:
    """What all trainings of a search share.

    Attributes:
        teacher: makes the given model anew.
        data: a dataset of which is learned; its test split is not looked at.
        lessons: the part of all images that these are, and the views of each.
        augment: what train images go through.
        training: of the settings all but the epochs.
        teaching: how the given model teaches.
        seed: of the search.
        skip: layers of the given model that are not rounded.
    """

    teacher: Callable[[], keras.Model]
    data: Data
    lessons: Lessons
    augment: Augment
    training: Training
    teaching: Teaching
    seed: int
    skip: tuple[str, ...] = ()

    def settings(self, epochs: int) -> Training:
        """For a training of so many epochs."""
        return dataclasses.replace(self.training, epochs=epochs)


def suggest(trial: optuna.Trial, saliencies, sparsities, nets) -> Candidate:
    """The given model or a student, perhaps cut, perhaps with zeros."""
    net = trial.suggest_categorical("net", ("given", *nets))
    width = 1.0
    if net == "given":
        saliency = trial.suggest_categorical("saliency", tuple(saliencies))
    else:
        width = trial.suggest_float("width", *WIDTHS, log=True)
        saliency = "l2"
    return Candidate(
        net=None if net == "given" else net,
        width=width,
        keep=trial.suggest_float("keep", proxies.LEAST, 1.0, log=True),
        budget=trial.suggest_categorical("budget", BUDGETS),
        saliency=saliency,
        bits=trial.suggest_categorical("bits", (8, 4)),
        sparsity=proxies.suggest_sparsity(trial, sparsities),
        round_to=ROUND_TO,
    )


def settings_of(candidate: Candidate) -> dict:
    """The candidate, as `suggest` asks for it."""
    return candidate.as_dict() | {"net": candidate.net or "given"}


def train(  # noqa: PLR0913, what a search is made of
    trials: Trials,
    school: School,
    files: Files,
    estimates: Estimates,
    folder: SearchFolder,
    clock: Clock,
    pace: Pace,
) -> None:
    """Train candidates until their share of the time is used.

    Afterwards a few are tried until one has fitted: to know no file that does would be
    worse than to be late, and what takes too much is soon known to. Once one has, what
    would only start after that time is not tried.
    """
    model = school.teacher()
    whole = measure.macs(model)
    each, lessons = time_for(clock) / TRAININGS, school.lessons

    for candidate, share, result in _before(trials, school.data, whole):
        how = {"starts": _starts(candidate, school), "lessons": lessons}
        pace.observe(share, result.epochs, result.seconds, **how)

    def cost_of(number, candidate):
        if candidate.macs(0, school.data) > whole:
            raise ValueError(f"{candidate.words} learns longer than the given model")
        # Before its file is written, which takes time, too.
        late = pace.starts(_starts(candidate, school), given=candidate.net is None)
        if late - time_for(clock) > each and not _is_wanting(trials):
            raise ValueError(f"{candidate.words} starts too late")
        net = candidate.untrained(model, school.data, repaired=False)
        estimated = estimates.of(net, candidate)
        path = folder.trial(number).exported("litert", "int8")
        path.parent.mkdir(parents=True, exist_ok=True)
        cost = files.write(net, candidate.bits, path)
        estimates.learn(estimated, cost, candidate.net)
        return cost

    def result_of(number, candidate, cost):
        share = candidate.macs(cost.macs, school.data) / whole
        starts = _starts(candidate, school)
        epochs = min(pace.epochs(share, each, lessons, starts), LONGEST)
        length = f"{epochs} epoch{'s' * (epochs > 1)}"
        print(f"  {candidate.words}: {length}", flush=True)
        start = clock.used
        home = trained(candidate, epochs, school, folder.trial(number).path)
        seconds = clock.used - start
        pace.observe(share, epochs, seconds, starts=starts, lessons=lessons)
        path = folder.trial(number).exported("litert", "int8")
        now = files.write(export.load(home.model).model, candidate.bits, path)
        result = files.whole(path)
        timed = dataclasses.replace(result, epochs=epochs, seconds=round(seconds, 1))
        # Bytes depend on the weights. What is timed does not, but differs each time.
        sizes = {"bytes": now.bytes, "bytes_zipped": now.bytes_zipped}
        return timed, dataclasses.replace(cost, **sizes)

    while clock.left(UNTIL) > each / 2 or _is_wanting(trials):
        tried = trials.step(cost_of, result_of)
        clock.note()
        if tried is not None:
            what = "takes too much"
            if tried.result is not None:
                what = f"top-1 {tried.result.top1:.2%}"
            print(
                f"  {tried.candidate.words}: {trials.limits.in_bytes(tried.cost)}, "
                f"{what}",
                flush=True,
            )
            _try_what_just_fits(trials, tried)
        if len(trials) >= MOST:
            return


def time_for(clock: Clock) -> float:
    """Seconds that are left for all short trainings."""
    return max(clock.left(UNTIL), 0)


def lessons_for(pace: Pace, clock: Clock) -> Lessons:
    """From what short trainings learn, so that a few of them can be made."""
    return pace.lessons(1.0, time_for(clock) / LONG_TRAININGS)


def _before(trials, data, whole):
    """Of what a process trained that was killed: it, its share of MACs, and result."""
    for each in trials.tried:
        if each.result is not None:
            share = each.candidate.macs(each.cost.macs, data) / whole
            yield each.candidate, share, each.result


def _starts(candidate, school):
    """How many trainings make it, that with the rounding of 4 bits with them."""
    stages = candidate.training(TRAINED, school.settings(1), school.teaching)
    return len(stages) + (candidate.bits != 8)


def _is_wanting(trials):
    return len(trials) < LATE and all(each.result is None for each in trials.tried)


def _try_what_just_fits(trials: Trials, tried: Tried) -> None:
    """The estimate was wrong: the same candidate comes again, smaller or larger."""
    used = trials.limits.used(tried.cost)
    little = 0 < used < ROOMY and tried.candidate.keep < 1
    if little or 1 < used < NEARLY:
        keep = min(max(proxies.LEAST, SAFE * tried.candidate.keep / used), 1.0)
        again = dataclasses.replace(tried.candidate, keep=keep)
        trials.add(settings_of(again))


def trained(
    candidate: Candidate, epochs: int, school: School, folder: Path
) -> StageFolder:
    """Train a candidate, of 4 bits with their rounding at the end.

    Returns:
        The folder of its last stage, in `folder`.
    """
    aware = 0 if candidate.bits == 8 else max(1, round(AWARE_SHARE * epochs))
    settings = school.settings(max(1, epochs - aware))
    stages = candidate.training(TRAINED, settings, school.teaching)
    if aware:
        how = with_rounding(school.training, aware), school.teaching, school.skip
        stages += (candidate.quantizing(AWARE, TRAINED, *how),)
    homes: dict[str, StageFolder] = {}

    def load(name):
        known = name in homes
        return export.load(homes[name].model).model if known else school.teacher()

    for stage in stages:
        home = StageFolder(folder / stage.name)
        keras.backend.clear_session()
        run_one(
            dataclasses.replace(stage, exports=()),
            school.data,
            home.path,
            seed=school.seed,
            augment=school.augment,
            load=load,
            cache=default_root(),
        )
        for checkpoint in home.checkpoints():
            checkpoint.unlink()
        homes[stage.name] = home
    return home


def kept(folder: SearchFolder, number: int) -> Path:
    """The model of a trial, before any rounding, from which a training can go on.

    It may not be there: of trials that machines share, each has its own alone.
    """
    return StageFolder(folder.trial(number).path / TRAINED).model


def with_rounding(training: Training, epochs: int) -> Training:
    """Settings of a training that goes on with the rounding of its file."""
    rate = AWARE_RATE * training.learning_rate
    return dataclasses.replace(training, epochs=epochs, learning_rate=rate)
