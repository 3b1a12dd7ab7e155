"""The coder against one written anew, its tables against logarithms."""

import math

import numpy as np
import pytest

from compression.export.archive.integer_logarithm import (
    LARGEST,
    LEAST,
    MOST,
    WHOLE,
    log2_table,
    probability,
)
from compression.export.archive.mixture import MOST_AT_ONCE, MOST_BITS, Mixture
from compression.export.archive.range_coder import Meter, Reader, Writer


def decoded(content, ones, numbers=0):
    """Bits, then so many numbers below 2^20, as FORMAT.md says they are read: with
    Python's integers, word by word.
    """
    more = 8 * (len(ones) // 8 + numbers + 4)
    content = content + bytes(-len(content) % 4 + more)
    words = [
        int.from_bytes(content[i : i + 4], "little") for i in range(0, len(content), 4)
    ]
    point, word = words[0] << 32 | words[1], 2
    low, size, mask = 0, (1 << 64) - 1, (1 << 64) - 1
    bits = []
    for one in ones.tolist() + [None] * numbers:
        unit = size >> 24
        if one is None:
            bits.append((point - low & mask) // (16 * unit))
            low, size = low + 16 * unit * bits[-1] & mask, 16 * unit
        else:
            zero = (WHOLE - one) << 8  # of 2^24
            bit = int((point - low & mask) // unit >= zero)
            bits.append(bit)
            low = low + unit * (zero if bit else 0) & mask
            size = unit * ((1 << 24) - zero if bit else zero)
        if size < 1 << 32:
            low, size = low << 32 & mask, size << 32
            point, word = (point << 32 | words[word]) & mask, word + 1
    return np.array(bits)


@pytest.mark.parametrize("seed", range(3))
def test_the_stream_is_what_the_format_says(seed):
    random = np.random.default_rng(seed)
    ones = random.integers(LEAST, MOST + 1, 3000)
    bits = (random.random(3000) < (ones / WHOLE if seed else 0.0)).astype(np.int64)
    writer, meter = Writer(), Meter()
    for start in (0, 1, 17, 900):  # the stream does not show how it was cut
        stop = {0: 1, 1: 17, 17: 900, 900: 3000}[start]
        writer.code(bits[start:stop], ones[start:stop])
    meter.code(bits, ones)
    content = writer.content()
    np.testing.assert_array_equal(decoded(content, ones), bits)
    reader = Reader(content)
    np.testing.assert_array_equal(reader.code(None, ones[:7]), bits[:7])
    np.testing.assert_array_equal(reader.code(None, ones[7:]), bits[7:])
    expected = -sum(
        math.log2(p / WHOLE if b else 1 - p / WHOLE)
        for b, p in zip(bits.tolist(), ones.tolist(), strict=True)
    )
    assert meter.bits[""] == pytest.approx(expected)
    assert len(content) <= expected / 8 + 8
    if seed:  # nothing but zeros is an empty stream, however unlikely it was
        assert len(content) >= expected / 8 - 4


def test_even_numbers_are_what_the_format_says():
    random = np.random.default_rng(0)
    ones = random.integers(LEAST, MOST + 1, 100)
    bits = (random.random(100) < ones / WHOLE).astype(np.int64)
    numbers = random.integers(0, 1 << 20, 200)
    numbers[:2] = 0, (1 << 20) - 1
    writer, meter = Writer(), Meter()
    for coder in (writer, meter):
        coder.code(bits, ones)
        coder.code_evenly(numbers, 200, 20)
    content = writer.content()
    found = decoded(content, ones, 200)
    np.testing.assert_array_equal(found, np.concatenate([bits, numbers]))
    reader = Reader(content)
    np.testing.assert_array_equal(reader.code(None, ones), bits)
    np.testing.assert_array_equal(reader.code_evenly(None, 200, 20), numbers)
    assert abs(len(content) - meter.bits[""] / 8) < 8


def test_the_logarithm_is_one():
    table = log2_table()
    assert len(table) == LARGEST
    assert [table[1], table[2], table[3], table[1 << 18]] == [0, 4096, 6492, 18 * 4096]
    at = np.arange(1, LARGEST, 97)
    error = 4096 * np.log2(at) - table[at]
    assert error.min() >= 0 and error.max() < 1.1


def test_the_probability_is_the_inverse():
    odds = np.array([0, 4096, -4096, 3 * 4096, 1 << 40, -(1 << 40)])
    expected = [1 / 2, 2 / 3, 1 / 3, 8 / 9, MOST / WHOLE, LEAST / WHOLE]
    np.testing.assert_allclose(probability(odds) / WHOLE, expected, atol=4e-5)


def test_the_model_learns_a_probability_and_which_context_tells():
    """Bits that context 2 decides: their cost goes to nothing, and no other's does."""
    random = np.random.default_rng(0)
    told, meter, last = Mixture([1, 1, 2, 7]), Meter(), Meter()
    for turn in range(60):
        known = random.integers(0, 2, 50)
        zero = np.zeros(50, np.int64)
        ones = told.predict(np.stack([zero, zero, known, random.integers(0, 7, 50)]))
        (last if turn >= 50 else meter).code(known, ones)
        told.learn(known)
    assert last.bits[""] / 500 < 0.02
    untold = Mixture([1, 1])
    for _ in range(200):
        untold.predict(np.zeros((2, 50), np.int64))
        untold.learn((random.random(50) < 0.1).astype(np.int64))
    assert untold.predict(np.zeros((2, 1), np.int64))[0] / WHOLE == pytest.approx(
        0.1, abs=0.03
    )


def test_counts_stay_within_the_table():
    mixture = Mixture([1, 1, 1])
    bits = np.zeros(MOST_AT_ONCE, np.int64)
    for _ in range(2 * MOST_BITS // MOST_AT_ONCE + 4):
        least = mixture.predict(np.zeros((3, MOST_AT_ONCE), np.int64))
        mixture.learn(bits)
    assert set(least.tolist()) == {LEAST}
