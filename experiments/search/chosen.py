"""Which candidate is trained in full, and which file is taken in the end."""

from collections.abc import Sequence
from typing import NamedTuple

from experiments.search.files import Written
from experiments.search.limits import Limits
from experiments.search.trials import Tried
from experiments.tables.pareto_front import front

# How much of what a short training lacks a full one is expected to make up for.
GAIN = 0.5


class Choice(NamedTuple):
    """A file, and why it was taken, in words."""

    file: Written
    why: str


def to_train(tried: Sequence[Tried], limits: Limits, reference: float) -> Tried | None:
    """The candidate that is worth a full training; None where there is none.

    Without a bound on accuracy the most accurate one that fits; with one the smallest
    that is expected to keep it, or else the most accurate.

    Args:
        tried: candidates after a short training.
        limits: what files may take.
        reference: top-1 of the given model.
    """
    asked = [each for each in tried if each.result is not None]
    if not asked:
        return None
    best = max(asked, key=lambda each: (each.result.top1, -limits.size(each.cost)))
    if limits.max_drop is None:
        return best
    within = [
        each
        for each in asked
        if (1 - GAIN) * (reference - each.result.top1) <= limits.max_drop / 100
    ]
    return min(within, key=lambda each: limits.size(each.cost), default=best)


def best_file(files: Sequence[Written], limits: Limits, reference: float) -> Choice:
    """The file that is taken, by validation images.

    Args:
        files: all that were written and asked, of them at least one.
        limits: what it may take and lose.
        reference: top-1 of the given model.

    Raises:
        ValueError: none meets the limits; says what can be had, and what stops it.
    """
    fitting = [file for file in files if limits.used(file.cost) <= 1]
    if not fitting:
        nearest = min(files, key=lambda file: limits.used(file.cost))
        raise ValueError(
            f"no file meets the limits: the nearest, {nearest.candidate.words}, takes "
            f"{limits.tightest(nearest.cost)}"
        )
    best = max(fitting, key=lambda file: (file.top1, -limits.size(file.cost)))
    if limits.max_drop is None:
        return Choice(best, f"the most accurate of {len(fitting)} files that fit")
    kept = [
        file
        for file in fitting
        if 100 * (reference - file.top1) <= limits.max_drop + 1e-9
    ]
    if not kept:
        raise ValueError(
            f"no file loses at most {limits.max_drop:g} points of the model's "
            f"{reference:.2%} within the limits: the best that fits, "
            f"{best.candidate.words}, has {best.top1:.2%} and takes "
            f"{limits.in_bytes(best.cost)}; give, with another --out, more --hours, a "
            "larger limit or a larger --max-drop"
        )
    smallest = min(kept, key=lambda file: (limits.size(file.cost), -file.top1))
    return Choice(
        smallest,
        f"the smallest of {len(kept)} files that lose at most {limits.max_drop:g} "
        "points",
    )


def next_steps(
    files: Sequence[Written], taken: Written, limits: Limits
) -> tuple[str, ...]:
    """What a little more, or less, would cost: the taken file's neighbours, in words.

    Of the files that no other beats in top-1 and bytes, zipped where those are limited.
    """

    def size(file):
        return limits.size(file.cost)

    best = [files[i] for i in front([(size(x), x.top1) for x in files])]
    smaller = [file for file in best if size(file) < size(taken)]
    larger = [file for file in best if file.top1 > taken.top1]
    larger = [file for file in larger if size(file) > size(taken)]
    steps = []
    if larger:
        steps.append(f"the next better one: {_step(larger[0], taken, limits)}")
    if smaller:
        next_smaller = max(smaller, key=size)
        steps.append(f"the next smaller one: {_step(next_smaller, taken, limits)}")
    return tuple(steps)


def _step(file, taken, limits):
    return (
        f"{file.candidate.words} ({file.name}), "
        f"{100 * (file.top1 - taken.top1):+.2f} points for "
        f"{limits.size(file.cost) - limits.size(taken.cost):+,} {limits.unit}"
    )
