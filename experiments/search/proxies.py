"""Candidates that are judged before any training: cuts of the given model.

Right after a cut, its batch norm estimated again, the loss on validation images tells
better cuts from worse ones; it does so for no student, which knows nothing yet. Of
students only the size is chosen here: the largest that fits. What files will take is
estimated: writing each one would cost more than all the rest. Where files have limits,
the first cuts are those that just fit: a smaller one has given away more than it had
to. What 4 bits cost in accuracy is seen later, in the short trainings.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import keras
import numpy as np
import optuna

from experiments.data import Data
from experiments.search.candidate import (
    BUDGETS,
    ROUND_TO,
    WIDTHS,
    Candidate,
    saliencies_for,
    students_for,
)
from experiments.search.clock import Clock
from experiments.search.estimates import Estimates
from experiments.search.files import Files
from experiments.search.limits import Limits
from experiments.search.trials import Trials, Tried
from experiments.tables.pareto_front import front

UNTIL = 0.15  # of the time
FITTING_UNTIL = 0.05  # likewise, to find out how large cuts may be
BITS = (8, 4)  # of weights
SPARSE = (0.0, 0.8)  # fractions of zeros with which is found out how much may stay
LATE = 0.25  # likewise, while only a few are known
MOST, FEW, FEWEST = 60, 12, 3  # candidates; the fewest are tried however late it is
LEAST = 0.02  # of a budget that a cut leaves
HALVINGS = 7
OPEN_WIDTHS = (0.125, 0.25)  # where no limit says how large a student may be
WIDER = 4.0  # times the width that fits, of a student that is cut
FULL = 0.97  # of a limit is taken by estimate, which may be wrong


def suggest(
    trial: optuna.Trial, saliencies: Sequence[str], sparsities: Sequence[float]
) -> Candidate:
    """A cut of the given model, perhaps with zeros."""
    return Candidate(
        net=None,
        keep=trial.suggest_float("keep", LEAST, 1.0, log=True),
        budget=trial.suggest_categorical("budget", BUDGETS),
        saliency=trial.suggest_categorical("saliency", tuple(saliencies)),
        bits=trial.suggest_categorical("bits", BITS),
        sparsity=suggest_sparsity(trial, sparsities),
        round_to=ROUND_TO,
    )


def suggest_sparsity(trial: optuna.Trial, sparsities: Sequence[float]) -> float:
    """One of several; where there is one alone, nothing is asked."""
    if len(sparsities) == 1:
        return sparsities[0]
    return trial.suggest_categorical("sparsity", tuple(sparsities))


def judge(  # noqa: PLR0913, what a search is made of
    trials: Trials,
    model: keras.Model,
    data: Data,
    files: Files,
    estimates: Estimates,
    clock: Clock,
) -> None:
    """Try cuts until their share of the time is used, those that just fit first."""
    nets = {}
    if not len(trials):
        for candidate in just_fitting(model, data, estimates, clock, trials.limits):
            trials.add(_settings_of(candidate))

    def cost_of(number, candidate):
        nets.clear()
        nets[number] = candidate.untrained(model, data)
        return estimates.of(nets[number], candidate)

    def result_of(number, _, cost):
        return files.quick(nets[number]), cost

    def is_time():
        known = len(trials)
        until = LATE if known < FEW else UNTIL
        return known < FEWEST or (known < MOST and clock.left(until) > 0)

    while is_time():
        tried = trials.step(cost_of, result_of)
        clock.note()
        if tried is not None:
            _say(len(trials), tried, trials.limits)


def just_fitting(
    model: keras.Model,
    data: Data,
    estimates: Estimates,
    clock: Clock,
    limits: Limits,
) -> Iterator[Candidate]:
    """For each budget and precision the largest cuts that fit, by each saliency.

    How much may stay is found by magnitudes, and holds for other saliencies as well: a
    budget is a fraction of the net, whichever channels it keeps. The budget that the
    first limit is about comes first, the others while there is time.
    """
    if not limits.of_files():
        return
    first = _budget(limits)
    fits = partial(_meets, limits, estimates, model, data)
    for budget in sorted(BUDGETS, key=lambda name: name != first):
        for sparsity, bits in product(_sparse(limits), BITS):
            if clock.left(FITTING_UNTIL) <= 0 and budget != first:
                return
            whole = Candidate(
                budget=budget, bits=bits, sparsity=sparsity, round_to=ROUND_TO
            )
            keep = _largest((LEAST, 1.0), lambda x, it=whole: fits(replace(it, keep=x)))
            clock.note()
            if keep is not None:
                for saliency in saliencies_for(model):
                    yield replace(whole, keep=min(keep, 1.0), saliency=saliency)


def _settings_of(candidate):
    """The candidate, as `suggest` asks for it."""
    settings = candidate.as_dict()
    asked = ("keep", "budget", "saliency", "bits", "sparsity")
    return {name: settings[name] for name in asked}


def promising(tried: Sequence[Tried], limits: Limits, count: int) -> list[Candidate]:
    """Cuts that are worth a short training, the most promising first.

    With limits on the file those of the least loss that fit, no two of which differ
    in their size alone. Without, those that no other beats in loss and bytes, spread
    over the sizes.

    Args:
        tried: of `judge`.
        limits: what files may take.
        count: how many at most.
    """
    asked = [each for each in tried if each.result is not None]
    asked.sort(key=lambda each: each.result.loss)
    if limits.of_files():
        kinds: dict[tuple, Tried] = {}
        for each in asked:
            of = each.candidate
            kinds.setdefault((of.budget, of.saliency, of.bits, of.sparsity), each)
        return [each.candidate for each in kinds.values()][:count]
    if not asked:
        return []
    best = front([(each.cost.bytes, -each.result.loss) for each in asked])[::-1]
    places = np.linspace(0, len(best) - 1, min(count, len(best)))
    return [asked[best[round(place)]].candidate for place in places]


def students(
    data: Data, files: Files, estimates: Estimates, limits: Limits, scratch: Path
) -> list[Candidate]:
    """Students of the catalogue that fit: as wide as may be, and wider ones, cut.

    A student that learned as a wider net and was cut then often knows more than one
    that was as narrow from the beginning; and where zipped bytes are limited, one that
    is wide and mostly zeros. One file of each net is written first, so
    that estimates of the others are right.

    Args:
        data: whose images they take.
        files: writes files.
        estimates: learns what they take.
        limits: what they may take.
        scratch: path of a .tflite file, which is removed again.
    """
    nets = students_for(data)
    if not limits.of_files():
        return [Candidate(net, width) for net in nets for width in OPEN_WIDTHS]
    budget = _budget(limits)
    fits = partial(_meets, limits, estimates, None, data)
    found = []
    for net in nets:
        dense = Candidate(net, OPEN_WIDTHS[0])
        narrow = dense.untrained(None, data)
        cost = files.write(narrow, 8, scratch)
        estimates.learn(estimates.of(narrow, dense), cost, net)
        scratch.unlink()
        width = _widest(dense, fits)
        found += [replace(dense, width=width)] if width is not None else []
        for sparsity in _sparse(limits)[1:]:
            sparse = replace(dense, sparsity=sparsity)
            with_zeros = _widest(sparse, fits)
            if with_zeros is not None:
                found.append(replace(sparse, width=with_zeros))
        wide = min(WIDER * (width or WIDTHS[0]), WIDTHS[1])
        whole = Candidate(net, wide, budget=budget, round_to=ROUND_TO)
        keep = _largest((LEAST, 1.0), lambda x, it=whole: fits(replace(it, keep=x)))
        if keep is not None and keep < 1:
            found.append(replace(whole, keep=keep))
    return found


def _meets(limits, estimates, model, data, candidate):
    made = candidate.untrained(model, data, repaired=False)
    return limits.used(estimates.of(made, candidate)) <= FULL


def _sparse(limits):
    return SPARSE if limits.bytes_zipped is not None else SPARSE[:1]


def _widest(student, fits):
    return _largest(WIDTHS, lambda width: fits(replace(student, width=width)))


def _budget(limits):
    """What a cut must leave less of, to meet the limits."""
    first = next(iter(limits.of_files()))
    of = {"bytes": "parameters", "bytes_zipped": "parameters", "arena_bytes": "ram"}
    return of.get(first, "macs")


def _largest(bounds, fits):
    """The largest value that fits, by halving; None where none is found.

    What a net cannot lose so much for is too little to stay.
    """
    low, high = np.log(bounds)
    fitting = _fits(fits, low)
    if fitting is False:
        return None
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        found = _fits(fits, middle)
        if found is False:
            high = middle
        else:
            low, fitting = middle, found
    return round(float(np.exp(low)), 4) if fitting else None


def _fits(fits, logarithm):
    """Whether it does; None: a net cannot lose so much."""
    try:
        return fits(float(np.exp(logarithm)))
    except ValueError:
        return None


def _say(number, tried, limits):
    what = "takes too much"
    if tried.result is not None:
        what = f"top-1 {tried.result.top1:.1%} untrained"
    print(
        f"  {number:>3}  {tried.candidate.words}: about {limits.in_bytes(tried.cost)}, "
        f"{what}",
        flush=True,
    )
