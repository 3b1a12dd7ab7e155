"""Ends of ranges: by hand, and against a search through all that there are."""

import itertools
import math

import numpy as np
import pytest

from compression.quantization import range_choice
from compression.quantization.fake_quantize import fake_quantize
from compression.quantization.histogram import Histogram
from compression.quantization.range_choice import (
    SHARES,
    chosen_ends,
    divergence,
    kl_ends,
    minmax_ends,
    mse_ends,
    percentile_ends,
    squared_error,
)

RNG = np.random.default_rng(0)


def seen(values, bins=4096):
    histogram = Histogram(bins)
    histogram.add(np.asarray(values))
    return histogram


NORMAL = RNG.normal(size=20_000)
WITH_OUTLIER = np.append(NORMAL, 50.0)
POSITIVE = np.maximum(WITH_OUTLIER, 0)
NEGATIVE = -np.abs(WITH_OUTLIER)
CASES = {"both": WITH_OUTLIER, "positive": POSITIVE, "negative": NEGATIVE}


@pytest.mark.parametrize("values", CASES.values(), ids=CASES)
@pytest.mark.parametrize("method", range_choice.METHODS)
def test_ends_hold_zero_and_lie_within_what_was_seen(method, values):
    low, high = chosen_ends(seen(values), method)
    assert min(values.min(), 0) <= low <= 0 <= high <= max(values.max(), 0)
    assert (low == 0) == (values.min() >= 0)
    assert (high == 0) == (values.max() <= 0)
    wide = max(-low, high) == 50
    assert wide == (method == "minmax")  # the others cut the outlier off


@pytest.mark.parametrize("method", range_choice.METHODS)
def test_nothing_but_zeros_has_the_range_of_nothing(method):
    assert chosen_ends(seen(np.zeros(5)), method) == (0, 0)


def test_minmax_is_widened_to_hold_zero():
    assert minmax_ends(seen([2.0, 3.0])) == (0, 3)
    assert minmax_ends(seen([-2.0, -1.0])) == (-2, 0)


@pytest.mark.parametrize("percentile", [60, 90, 99, 99.9, 100])
@pytest.mark.parametrize("values", CASES.values(), ids=CASES)
def test_percentiles_are_numpys_to_a_bin(percentile, values):
    histogram = seen(values)
    ends = percentile_ends(histogram, percentile)
    wanted = np.percentile(values, [100 - percentile, percentile])
    wanted = min(wanted[0], 0), max(wanted[1], 0)
    slack = 2 * histogram.width if percentile < 99.9 else 0.05
    np.testing.assert_allclose(ends, wanted, atol=0 if percentile == 100 else slack)


def test_squared_error_by_hand():
    # Range 0 to 255: codes are whole numbers. Bins of width 1/2, centres .25 and .75.
    histogram = seen([0.25, 0.25, 1.75, 300.25], bins=1024)
    assert histogram.width == 0.5
    wanted = 2 * 0.25**2 + 0.25**2 + (300.25 - 255) ** 2
    assert squared_error(histogram, 0.0, 255.0) == pytest.approx(wanted)
    assert squared_error(histogram, 0.0, 0.0) == pytest.approx(
        2 * 0.25**2 + 1.75**2 + 300.25**2
    )


@pytest.mark.parametrize("ends", [(-1.0, 3.0), (0.0, 2.0), (-2.0, 0.0), (-0.013, 1.0)])
def test_squared_error_is_that_of_fake_quantization(ends):
    histogram = seen(np.clip(NORMAL, -3, 3))
    centres = np.float32(histogram.centres)
    rounded = np.asarray(fake_quantize(centres, *ends)).astype(np.float64)
    wanted = np.sum(histogram.counts * (rounded - centres) ** 2)
    assert squared_error(histogram, *ends) == pytest.approx(wanted, rel=2e-2)


@pytest.mark.parametrize("values", CASES.values(), ids=CASES)
def test_mse_finds_what_a_search_through_all_ranges_finds(values, monkeypatch):
    shares = SHARES[4::5]  # 20 for each end
    monkeypatch.setattr(range_choice, "SHARES", shares)
    histogram = seen(values, bins=512)
    low, high = minmax_ends(histogram)
    lows, highs = low * shares if low else [0.0], high * shares if high else [0.0]
    errors = {
        ends: squared_error(histogram, *ends) for ends in itertools.product(lows, highs)
    }
    assert errors[mse_ends(histogram)] == min(errors.values())


def test_divergence_by_hand():
    counts = np.array([1, 3, 2, 2])
    # Two codes: Q is 2 2 2 2, P as it is.
    wanted = 1 / 8 * math.log(1 / 2) + 3 / 8 * math.log(3 / 2)
    assert divergence(counts, 0, 4, codes=2) == pytest.approx(wanted)
    # Three bins, three codes: P is 1 3 4 of 8, for the last takes what is cut off; Q is
    # 1 3 2 of 6.
    wanted = 1 / 8 * math.log(6 / 8) + 3 / 8 * math.log(6 / 8) + 1 / 2 * math.log(3 / 2)
    assert divergence(counts, 0, 3, codes=3) == pytest.approx(wanted)
    # An empty bin has no part of its code's count: Q is 4 0 2 2.
    counts = np.array([4, 0, 3, 1])
    wanted = 3 / 8 * math.log(3 / 2) + 1 / 8 * math.log(1 / 2)
    assert divergence(counts, 0, 4, codes=2) == pytest.approx(wanted)
    # Cut off into a bin that nothing is in, which counts as one value: P is 1 1 5 of 7.
    wanted = 2 / 7 * math.log(3 / 7) + 5 / 7 * math.log(15 / 7)
    found = divergence(np.array([1, 1, 0, 5]), 0, 3, codes=2)
    assert found == pytest.approx(wanted)


def brute_force_kl(histogram, codes):
    """The threshold, in bins, with the least divergence, all in plain loops."""
    first = min(histogram.first, 0)
    counts = [0] * (histogram.first - first) + histogram.counts.tolist()
    counts += [0] * max(-first - len(counts), 0)
    last = first + len(counts)
    found = {}
    for threshold in range(max(-first, last), 0, -1):
        start, end = max(first, -threshold), min(last, threshold)
        size = end - start
        if size < codes:
            continue
        p = counts[start - first : end - first]
        q = [0.0] * size
        for code in range(codes):
            bins = [i for i in range(size) if i * codes // size == code]
            full = [i for i in bins if p[i]]
            for i in full:
                q[i] = sum(p[j] for j in bins) / len(full)
        p = list(p)
        p[0] += sum(counts[: start - first])
        p[-1] += sum(counts[end - first :])
        q = [1.0 if a and not b else b for a, b in zip(p, q, strict=True)]
        found[threshold] = sum(
            a / sum(p) * math.log(a / sum(p) / (b / sum(q)))
            for a, b in zip(p, q, strict=True)
            if a
        )
    return min(found, key=lambda threshold: (found[threshold], -threshold))


@pytest.mark.parametrize(
    "values",
    [
        np.append(np.abs(NORMAL[:500]), 6.0),
        np.append(NORMAL[:500], 7.0),
        np.append(NORMAL[:500] - 1, -8.0),
        RNG.uniform(1, 2, size=300),
    ],
    ids=["positive", "outlier above", "outlier below", "far from zero"],
)
def test_kl_finds_what_plain_loops_find(values):
    histogram = seen(values, bins=64)
    threshold = brute_force_kl(histogram, 8) * histogram.width
    low, high = minmax_ends(histogram)
    wanted = max(low, -threshold), min(high, threshold)
    assert kl_ends(histogram, codes=8) == pytest.approx(wanted)
