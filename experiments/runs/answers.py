"""The class that each stage's file gives to every test image, as a run keeps it."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.arrays import read_arrays


class Kept(NamedTuple):
    """The images' labels, and the answers by stage: (images,) each."""

    labels: np.ndarray
    by_stage: dict[str, np.ndarray]


def read_answers(path: Path) -> Kept:
    """What `measuring` wrote.

    Raises:
        ValueError: the file cannot be read, or holds something else.
        KeyError: an array is missing.
    """
    stored = read_arrays(path)
    labels, stages, answers = (stored[key] for key in ("labels", "stages", "answers"))
    fits = (
        labels.ndim == 1
        and labels.dtype.kind in "iu"
        and stages.ndim == 1
        and stages.dtype.kind == "U"
        and answers.shape == (len(stages), len(labels))
        and answers.dtype.kind in "iu"
        and all((a >= 0).all() and (a < 1e6).all() for a in (labels, answers))
    )
    if not fits:
        raise ValueError("arrays of other shapes or types than a run writes")
    return Kept(labels, dict(zip(map(str, stages), answers, strict=True)))
