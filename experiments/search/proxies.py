"""Candidates that are judged before any training: cuts of the given model.

Right after a cut, its batch norm estimated again, the loss on validation images tells
better cuts from worse ones; it does so for no student, which knows nothing yet. Of
students only the size is chosen here: the largest that fits. What files will take is
estimated: writing each one would cost more than all the rest. What 4 bits cost in
accuracy is seen later, in the short trainings.
"""

from collections.abc import Sequence

import keras
import numpy as np
import optuna

from experiments.data import Data
from experiments.search.candidate import BUDGETS, WIDTHS, Candidate, students_for
from experiments.search.clock import Clock
from experiments.search.estimates import Estimates
from experiments.search.files import Files
from experiments.search.limits import Limits
from experiments.search.trials import Trials, Tried

UNTIL = 0.15  # of the time
MOST, FEWEST = 60, 12  # candidates
LEAST = 0.02  # of a budget that a cut leaves
HALVINGS = 7
OPEN_WIDTHS = (0.125, 0.25)  # where no limit says how large a student may be
FULL = 0.97  # of a limit is taken by estimate, which may be wrong


def suggest(trial: optuna.Trial, saliencies: Sequence[str]) -> Candidate:
    """A cut of the given model."""
    return Candidate(
        net=None,
        keep=trial.suggest_float("keep", LEAST, 1.0, log=True),
        budget=trial.suggest_categorical("budget", BUDGETS),
        saliency=trial.suggest_categorical("saliency", tuple(saliencies)),
        bits=trial.suggest_categorical("bits", (8, 4)),
    )


def judge(  # noqa: PLR0913, what a search is made of
    trials: Trials,
    model: keras.Model,
    data: Data,
    files: Files,
    estimates: Estimates,
    clock: Clock,
) -> None:
    """Try cuts until their share of the time is used."""
    nets = {}

    def cost_of(number, candidate):
        nets.clear()
        nets[number] = candidate.untrained(model, data)
        return estimates.of(nets[number], candidate.bits, None)

    def result_of(number, *_):
        return files.quick(nets[number])

    while len(trials) < MOST and (clock.left(UNTIL) > 0 or len(trials) < FEWEST):
        tried = trials.step(cost_of, result_of)
        clock.note()
        if tried is not None:
            _say(len(trials), tried)


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
            kinds.setdefault((of.budget, of.saliency, of.bits), each)
        return [each.candidate for each in kinds.values()][:count]
    front, smallest = [], np.inf
    for each in asked:  # from the least loss on: each must be smaller than all before
        if each.cost.bytes < smallest:
            smallest = each.cost.bytes
            front.append(each)
    if not front:
        return []
    places = np.linspace(0, len(front) - 1, min(count, len(front)))
    return [front[round(place)].candidate for place in places]


def students(data: Data, estimates: Estimates, limits: Limits) -> list[Candidate]:
    """Students of the catalogue, as wide as the limits allow."""
    if not limits.of_files():
        return [
            Candidate(net, width) for net in students_for(data) for width in OPEN_WIDTHS
        ]
    found = []
    for net in students_for(data):
        width = _widest(net, data, estimates, limits)
        if width is not None:
            found.append(Candidate(net, width))
    return found


def _widest(net, data, estimates, limits):
    """The widest net that fits, found by halving; None where the narrowest does not."""

    def fits(width):
        made = Candidate(net, width).untrained(None, data)
        return limits.used(estimates.of(made, 8, net)) <= FULL

    low, high = np.log(WIDTHS)
    if not fits(float(np.exp(low))):
        return None
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(float(np.exp(middle))) else (low, middle)
    return round(float(np.exp(low)), 4)


def _say(number, tried):
    what = "takes too much"
    if tried.result is not None:
        what = f"top-1 {tried.result.top1:.1%} untrained"
    print(
        f"  {number:>3}  {tried.candidate.words}: about {tried.cost.bytes:,} bytes, "
        f"{what}",
        flush=True,
    )
