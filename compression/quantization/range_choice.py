"""Which ends a tensor's range shall have, by what values it was seen to hold.

What lies beyond the ends is cut off; the narrower the range, the finer the rounding of
all else. Each function takes a `Histogram` and gives (low, high) with low <= 0 <= high.

- `minmax`: nothing is cut off.
- `percentile`: a fixed share is, as in section 5.3 of Wu et al., "Integer Quantization
  for Deep Learning Inference" (2020), https://arxiv.org/abs/2004.09602; there of
  absolute values, here at each end.
- `mse`: the mean squared error of rounding and cutting is least, as in section 3.1 of
  Nagel et al., "A White Paper on Neural Network Quantization" (2021),
  https://arxiv.org/abs/2106.08295; Banner et al. (2019),
  https://arxiv.org/abs/1810.05723, and Choukroun et al. (2019),
  https://arxiv.org/abs/1902.06822, minimise the same.
- `kl`: the rounded values' distribution has lost least information, as in Migacz,
  "8-bit Inference with TensorRT" (GTC 2017). There a range is symmetric or begins at 0;
  here a threshold cuts off both ends, where they lie beyond it.
"""

import numpy as np

from compression.quantization.histogram import Histogram

METHODS = ("minmax", "percentile", "mse", "kl")
CODES = 256
PERCENTILE = 99.99  # the best of Wu et al.'s for most of their nets (table 4)
SHARES = np.arange(1, 101) / 100  # of the widest range, that mse tries at each end
MOST_THRESHOLDS = 512  # that kl tries

Ends = tuple[float, float]


def chosen_ends(
    seen: Histogram, method: str, *, percentile: float = PERCENTILE
) -> Ends:
    """(low, high) by the method of that name.

    Args:
        seen: what calibration has seen of a tensor.
        method: one of `METHODS`.
        percentile: of the values, above which `percentile` cuts off.
    """
    if method == "percentile":
        return percentile_ends(seen, percentile)
    return {"minmax": minmax_ends, "mse": mse_ends, "kl": kl_ends}[method](seen)


def minmax_ends(seen: Histogram) -> Ends:
    """The lowest and the highest value."""
    return min(seen.low, 0.0), max(seen.high, 0.0)


def percentile_ends(seen: Histogram, percentile: float = PERCENTILE) -> Ends:
    """Ends beyond each of which lie (100 - percentile) % of all values, zeros too.

    Within a bin, values count as spread evenly.
    """
    counts = seen.counts.astype(np.float64)
    edges = (seen.first + np.arange(len(counts) + 1)) * (seen.width or 0.0)
    below = np.concatenate([[0.0], np.cumsum(counts)])
    total = below[-1] + seen.zeros
    rank = total * percentile / 100

    def value_at(rank):  # zeros stand between what is below 0 and what is above
        negative = counts[: max(-seen.first, 0)].sum()
        if negative <= rank <= negative + seen.zeros:
            return 0.0
        rank = rank if rank < negative else rank - seen.zeros
        return float(np.interp(rank, below, edges))

    low, high = minmax_ends(seen)
    return (
        max(min(value_at(total - rank), 0.0), low),
        min(max(value_at(rank), 0.0), high),
    )


def mse_ends(seen: Histogram) -> Ends:
    """Ends, in hundredths of the widest, with the least mean squared error.

    One end is searched after the other until neither moves: the error that an end
    cuts off depends on it alone, and that of rounding on the sum of both.
    """
    widest = minmax_ends(seen)
    low, high = widest
    while True:
        before = (low, high)
        if widest[1] > 0:
            high = _best(seen, [(low, high) for high in widest[1] * SHARES])[1]
        if widest[0] < 0:
            low = _best(seen, [(low, high) for low in widest[0] * SHARES])[0]
        if (low, high) == before:
            return before


def squared_error(seen: Histogram, low: float, high: float) -> float:
    """Sum over all values of what fake quantization in a range does to them, squared.

    Values count as at the centre of their bin; the range is shifted until 0 has a code,
    as in `fake_quantize`.
    """
    there = seen.counts > 0
    values, counts = seen.centres[there], seen.counts[there]
    scale = (high - low) / (CODES - 1)
    if scale <= 0:
        return float(np.sum(counts * values**2))
    zero = np.clip(np.floor(0.5 - low / scale), 0, CODES - 1)
    codes = np.clip(np.floor(values / scale + 0.5) + zero, 0, CODES - 1)
    return float(np.sum(counts * (values - scale * (codes - zero)) ** 2))


def _best(seen, ranges):
    """Of several, one with the least error; of equally good ones the widest."""
    errors = [squared_error(seen, *ends) for ends in ranges]
    least = min(errors)
    return max(
        (ends for ends, error in zip(ranges, errors, strict=True) if error == least),
        key=lambda ends: ends[1] - ends[0],
    )


def kl_ends(seen: Histogram, codes: int = CODES) -> Ends:
    """Ends that cut off at the threshold with the least divergence; exact zeros are
    left out, for they cost nothing.

    Thresholds are edges of bins, at most `MOST_THRESHOLDS`; no range of fewer bins than
    codes is tried.
    """
    low, high = minmax_ends(seen)
    if not len(seen.counts):
        return low, high
    # Bins from `first` to `last`, with 0 between them: a range holds it.
    first, last = min(seen.first, 0), max(seen.first + len(seen.counts), 0)
    counts = np.zeros(last - first, np.int64)
    counts[seen.first - first :][: len(seen.counts)] = seen.counts
    most = max(-first, last)
    best, least = (low, high), np.inf
    for threshold in range(most, 0, -max(1, -(-most // MOST_THRESHOLDS))):
        start, end = max(first, -threshold), min(last, threshold)
        if end - start < codes:
            break
        found = divergence(counts, start - first, end - first, codes)
        if found < least:
            least = found
            best = max(low, start * seen.width), min(high, end * seen.width)
    return best


def divergence(counts: np.ndarray, start: int, end: int, codes: int) -> float:
    """KL(P || Q) in nats: P of the bins from `start` to `end`, Q of the same in codes.

    What lies outside counts in P with the first and the last bin. In Q each code's
    count is spread evenly over those of its bins that are not empty. A first or last
    bin that only P has counts as one value in Q, lest the divergence be infinite.
    """
    inside = counts[start:end].astype(np.float64)
    wanted = inside.copy()
    wanted[0] += counts[:start].sum()
    wanted[-1] += counts[end:].sum()
    code = np.arange(len(inside)) * codes // len(inside)
    there = inside > 0
    sums = np.bincount(code, inside, codes)
    sizes = np.maximum(np.bincount(code, there, codes), 1)
    spread = np.where(there, (sums / sizes)[code], 0.0)
    held = wanted > 0
    spread[held & ~there] = 1.0
    p, q = wanted[held] / wanted.sum(), spread[held] / spread.sum()
    return float(np.sum(p * np.log(p / q)))
