"""Which of several methods is better, and whether their ranks can be told apart.

Demšar, "Statistical Comparisons of Classifiers over Multiple Data Sets" (JMLR 2006),
https://jmlr.org/papers/v7/demsar06a.html
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.05  # of the tests; the intervals are of 95 %


@dataclass(frozen=True)
class Ranks:
    """Mean ranks of methods, 1 being the best.

    Attributes:
        mean: of each method, over the comparisons.
        interval: half the width of its 95 % interval, by Student's t over the
            comparisons.
        critical_difference: of two mean ranks that Nemenyi's test tells apart at 5 %.
        p_value: of Friedman's test that all methods are alike.
    """

    mean: tuple[float, ...]
    interval: tuple[float, ...]
    critical_difference: float
    p_value: float

    def alike(self) -> list[tuple[int, ...]]:
        """Methods, best first, in the largest groups that are not told apart."""
        order = sorted(range(len(self.mean)), key=self.mean.__getitem__)
        groups, end = [], 0
        for start in range(len(order)):
            limit = self.mean[order[start]] + self.critical_difference
            reach = sum(self.mean[method] <= limit for method in order)
            if reach - start > 1 and reach > end:
                groups.append(tuple(order[start:reach]))
                end = reach
        return groups


def ranked(scores: Sequence[Sequence[float]]) -> Ranks:
    """Rank methods in each of several comparisons.

    Args:
        scores: (comparisons, methods), more being better; equal ones share a rank.

    Raises:
        ValueError: there are fewer than two comparisons or three methods.
    """
    from scipy import stats

    table = np.asarray(scores, dtype="float64")
    if table.ndim != 2 or table.shape[0] < 2 or table.shape[1] < 3:
        raise ValueError(
            "ranks need at least 2 comparisons of 3 methods, got a table of shape "
            f"{table.shape}"
        )
    comparisons, methods = table.shape
    ranks = stats.rankdata(-table, axis=1)
    spread = ranks.std(axis=0, ddof=1) / math.sqrt(comparisons)
    quantile = stats.t.ppf(1 - LEVEL / 2, comparisons - 1)
    # Nemenyi: Tukey's range for infinitely many degrees of freedom (section 3.2.2).
    tukey = stats.studentized_range.ppf(1 - LEVEL, methods, math.inf) / math.sqrt(2)
    return Ranks(
        mean=tuple(ranks.mean(axis=0).tolist()),
        interval=tuple((quantile * spread).tolist()),
        critical_difference=float(
            tukey * math.sqrt(methods * (methods + 1) / (6 * comparisons))
        ),
        p_value=_friedman(table),
    )


def _friedman(table):
    from scipy import stats

    if (table == table[:, :1]).all():
        return 1.0  # all alike: the statistic is 0 / 0
    return float(stats.friedmanchisquare(*table.T).pvalue)


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's, of two scores of the same methods; NaN where one is constant."""
    from scipy import stats

    if len(set(first)) < 2 or len(set(second)) < 2:
        return math.nan
    return float(stats.spearmanr(first, second).statistic)
