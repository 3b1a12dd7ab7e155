"""What the papers claim, which two stages show it, and whether it was seen.

Krizhevsky et al. (2012), https://papers.nips.cc/paper/4824; Pascanu et al. (2013),
https://arxiv.org/abs/1211.5063; Sutskever et al. (2013),
https://proceedings.mlr.press/v28/sutskever13.html; He et al. (2015),
https://arxiv.org/abs/1502.01852; Ioffe & Szegedy (2015),
https://arxiv.org/abs/1502.03167; He et al. (2016), https://arxiv.org/abs/1512.03385;
Zhang et al. (2018), https://arxiv.org/abs/1710.09412.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.tables.summary import Summary, paired_gains

HELD, NOT_SEEN, OPPOSITE = "held here", "not seen", "opposite"
# Student's t for two sides and 95 %, by degrees of freedom; beyond, the last one.
STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365}


@dataclass(frozen=True)
class Claim:
    """One factor, and what is claimed of it.

    Attributes:
        what: the factor that changes, and the claim.
        paper: and section.
        base: the stage before the change.
        changed: the stage after it.
        sign: 1 where accuracy should rise, -1 where it should fall.
    """

    what: str
    paper: str
    base: str
    changed: str
    sign: int = 1


KRIZHEVSKY, IOFFE = "Krizhevsky 2012", "Ioffe 2015"
HE = "He 2016"
CLAIMS = (
    Claim("ReLU for tanh: learns faster", f"{KRIZHEVSKY}, 3.1", "tanh", "base"),
    Claim("response norm", f"{KRIZHEVSKY}, 3.3", "base", "response_norm"),
    Claim("batch norm: learns faster", f"{IOFFE}, 4.2", "base", "batch_norm"),
    Claim(
        "batch norm for response norm",
        f"{IOFFE}, 4.2.1",
        "response_norm",
        "batch_norm",
    ),
    Claim("overlapping pooling", f"{KRIZHEVSKY}, 3.4", "plain_pooling", "base"),
    Claim("dropout in dense layers", f"{KRIZHEVSKY}, 4.2", "base", "dropout"),
    Claim("random crops", f"{KRIZHEVSKY}, 4.1", "no_augmentation", "crop"),
    Claim("flips", f"{KRIZHEVSKY}, 4.1", "no_augmentation", "flip"),
    Claim("crops and flips", f"{KRIZHEVSKY}, 4.1", "no_augmentation", "base"),
    Claim("shifts of colour (PCA)", f"{KRIZHEVSKY}, 4.1", "base", "pca"),
    Claim("mixup", "Zhang 2018, 3.2", "base", "mixup"),
    Claim(
        "He's initialisation for N(0, 0.01)",
        "He 2015, 2.2",
        "paper_initialisation",
        "base",
    ),
    Claim("weight decay", f"{KRIZHEVSKY}, 5", "no_decay", "base"),
    Claim("momentum, same rate", "Sutskever 2013, 3", "no_momentum", "base"),
    Claim(
        "momentum for a tenfold rate", "Sutskever 2013, 3", "no_momentum_fast", "base"
    ),
    Claim("clipped gradients", "Pascanu 2013, 3.2", "base", "clipping"),
    Claim("shortcuts, 20 layers", f"{HE}, 4.2", "plain20", "residual20"),
    Claim("shortcuts, 56 layers", f"{HE}, 4.2", "plain56", "residual56"),
    Claim("depth without shortcuts: harms", f"{HE}, 4.2", "plain20", "plain56", -1),
    Claim("depth with shortcuts: helps", f"{HE}, 4.2", "residual20", "residual56"),
)


@dataclass(frozen=True)
class Effect:
    """A claim, and what was measured for it.

    Attributes:
        claim: what should be.
        base: summary of the stage before the change.
        changed: summary of the stage after it.
    """

    claim: Claim
    base: Summary
    changed: Summary

    @property
    def gains(self) -> list[float]:
        """Points of test top-1 that the change brings, one for each seed."""
        return paired_gains(self.base, self.changed)

    @property
    def mean(self) -> float:
        """Of the gains, in points."""
        return statistics.fmean(self.gains)

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation of the gains in points; None of a single one."""
        return statistics.stdev(self.gains) if len(self.gains) > 1 else None

    @property
    def bound(self) -> float | None:
        """Half the 95 % interval of the mean, in points: t times its standard error."""
        if self.deviation is None:
            return None
        n = len(self.gains)
        student = STUDENT.get(n - 1, STUDENT[max(STUDENT)])
        return student * self.deviation / math.sqrt(n)

    @property
    def verdict(self) -> str:
        """Whether the interval leaves out zero, and on which side; "" of one seed."""
        if self.bound is None:
            return ""
        if abs(self.mean) <= self.bound:
            return NOT_SEEN
        return HELD if self.mean * self.claim.sign > 0 else OPPOSITE


def effects(
    summaries: Sequence[Summary], claims: Sequence[Claim] = CLAIMS
) -> list[Effect]:
    """Of each claim whose two stages were measured with the same seeds."""
    by_name: Mapping[str, Summary] = {summary.stage: summary for summary in summaries}
    found = [
        Effect(claim, by_name[claim.base], by_name[claim.changed])
        for claim in claims
        if {claim.base, claim.changed} <= by_name.keys()
    ]
    return [effect for effect in found if effect.gains]
