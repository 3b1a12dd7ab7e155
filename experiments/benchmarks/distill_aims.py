"""What `limbeck bench distill` aims at, and whether the figures meet it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.benchmarks import turns
from experiments.benchmarks.distill_cases import (
    ALONE,
    KERAS,
    LIMBECK,
    LIMBECK_CACHED,
    LIMBECK_HALF,
    TEACHER,
)


class Aim(NamedTuple):
    """A bound on a ratio.

    Attributes:
        text: what the ratio is.
        case: whose seconds or speed is compared.
        others: cases whose seconds are added.
        of_speeds: whether the ratio is of speeds (at least `bound`) or of seconds (at
            most `bound`).
        bound: for the median.
    """

    text: str
    case: str
    others: Sequence[str]
    of_speeds: bool
    bound: float


AIMS = (
    Aim(
        "seconds of limbeck / (student alone + teacher's forward pass)",
        LIMBECK,
        (ALONE, TEACHER),
        False,
        1.0,
    ),
    Aim(
        "seconds of limbeck, cached / student alone",
        LIMBECK_CACHED,
        (ALONE,),
        False,
        1.1,
    ),
    Aim(
        "speed of limbeck, cached / keras.distillation",
        LIMBECK_CACHED,
        (KERAS,),
        True,
        3.0,
    ),
    Aim(
        "speed of limbeck, fused, bfloat16 / keras.distillation",
        LIMBECK_HALF,
        (KERAS,),
        True,
        1.5,
    ),
)


def judged(seconds: Mapping[str, Sequence[float]]) -> list[dict[str, Any]]:
    """Each of `AIMS` with its figure, and whether the median meets it."""
    judgements = []
    for aim in AIMS:
        others = np.sum([seconds[case] for case in aim.others], axis=0)
        pair = (
            (seconds[aim.case], others)
            if aim.of_speeds
            else (others, seconds[aim.case])
        )
        ratio = turns.speed_ratio(*pair)
        met = ratio.median >= aim.bound if aim.of_speeds else ratio.median <= aim.bound
        judgements.append(
            {
                "aim": aim.text,
                "bound": aim.bound,
                "bound_is": "at least" if aim.of_speeds else "at most",
                "ratio": ratio._asdict(),
                "met": bool(met),
            }
        )
    return judgements
