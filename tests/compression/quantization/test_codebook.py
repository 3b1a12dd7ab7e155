"""A codebook: nearest values, what is shared already, and values chosen by bits."""

import itertools

import numpy as np
import pytest

from compression.quantization import codebook as module
from compression.quantization import kmeans
from compression.quantization.codebook import codebook

RNG = np.random.default_rng(0)


def test_each_weight_gets_the_nearest_value():
    weights = RNG.normal(size=(30, 20)).astype("float32")
    book = codebook([weights], 8)
    nearest = np.abs(weights[..., None] - book.values).argmin(-1)
    np.testing.assert_array_equal(book.codes(weights), nearest)
    for code in range(8):
        mean = weights[nearest == code].astype(float).mean()
        assert book.values[code] == pytest.approx(mean, rel=1e-6)


@pytest.mark.parametrize("size", [100, 300_000])
def test_what_is_shared_stays_to_the_bit(size):
    """Also values so near each other that one bin holds several."""
    values = np.float32(0.1) + np.arange(7, dtype="float32") * np.float32(1e-8)
    assert len(np.unique(values)) == 7
    weights = RNG.choice(values, size)
    weights[:7] = values
    book = codebook([weights], 7, rate=0.5)
    np.testing.assert_array_equal(book.values[book.codes(weights)], weights)
    assert len(codebook([weights], 6).values) <= 6


def cost(values, codes, rate):
    """Mean squared error and bits, in squares of a weight, each cluster at its mean."""
    error = bits = 0.0
    for code in np.unique(codes):
        members = values[codes == code]
        error += ((members - members.mean()) ** 2).sum()
        bits -= len(members) * np.log2(len(members) / len(values))
    return error / (values**2).sum() + rate * bits / len(values)


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.4])
def test_choice_by_bits_is_near_the_best_of_all(rate):
    """All cuts of ten sorted numbers in up to four intervals are tried."""
    for seed in range(5):
        values = np.sort(np.random.default_rng(seed).normal(size=10))
        book = codebook([values], 4, rate=rate)
        found = cost(values, book.codes(values), rate)
        cuts = itertools.combinations_with_replacement(range(11), 3)
        least = min(
            cost(values, np.searchsorted(each, np.arange(10), side="right"), rate)
            for each in cuts
        )
        plain = cost(values, codebook([values], 4).codes(values), rate)
        assert least - 1e-12 <= found <= plain + 1e-12
        assert found <= 1.35 * least


def test_each_weight_goes_where_error_and_bits_cost_least():
    """Where the iteration ends, no weight would pay less elsewhere."""
    weights = np.random.default_rng(1).laplace(size=5000)
    rate = 0.05
    book = codebook([weights], 16, rate=rate)
    codes = book.codes(weights)
    bits = -np.log2(np.bincount(codes) / len(weights))
    prices = (weights[:, None] - book.values) ** 2 + rate * np.mean(weights**2) * bits
    np.testing.assert_allclose(
        prices[np.arange(5000), codes], prices.min(axis=1), rtol=1e-9
    )
    plain = np.bincount(codebook([weights], 16).codes(weights)) / 5000
    assert (bits * 2.0**-bits).sum() < -(plain * np.log2(plain)).sum() - 0.3


def test_chunks_and_bins_change_nothing_that_counts(monkeypatch):
    weights = RNG.normal(size=70_000).astype("float32")
    whole = codebook([weights], 16, rate=0.02)
    monkeypatch.setattr(module, "CHUNK", 999)
    monkeypatch.setattr(kmeans, "CHUNK", 1001)
    cut = codebook([weights[:7], weights[7:]], 16, rate=0.02)
    np.testing.assert_array_equal(whole.codes(weights), cut.codes(weights))
