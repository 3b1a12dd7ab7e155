"""Logarithms and their inverse in whole numbers, the same on every machine.

The coder's model must give a decoder the very probabilities that the encoder had. The
`log` and `exp` of mathematics libraries differ in the last bit from one processor or
version to the next, so that none of them is used: a log is found digit by digit, by
squaring.
"""

from functools import cache

import numpy as np

FRACTION_BITS = 12  # of a logarithm: 4096 stands for one octave
ONE = 1 << FRACTION_BITS
PROBABILITY_BITS = 16
WHOLE = 1 << PROBABILITY_BITS  # stands for probability 1
# No symbol costs less than 2^-11.4 bits: what a file of so many bytes can hold is
# bounded, which its reader checks before it believes any size.
LEAST, MOST = 32, WHOLE - 32
LARGEST = 1 << 19  # of what a logarithm is taken of
_SHIFT = 4  # of a log-odds, to where the table of its inverse has it
_REACH = 12 << FRACTION_BITS >> _SHIFT


@cache
def log2_table() -> np.ndarray:
    """(LARGEST,) int64: 4096 log2 i, rounded down as 12 squarings are; 0 at 0.

    With k = floor(log2 i) and m = i / 2^k, the fraction's next digit is 1 where m^2
    is 2 or more, and m becomes m^2, or half of it.
    """
    numbers = np.arange(1, LARGEST, dtype=np.int64)
    whole = np.zeros_like(numbers)
    for step in (16, 8, 4, 2, 1):
        whole += np.where(numbers >> whole >= 1 << step, step, 0)
    mantissa = numbers << (30 - whole)  # 1.0 is 2^30
    digits = np.zeros_like(numbers)
    for _ in range(FRACTION_BITS):
        mantissa = mantissa * mantissa >> 30
        digit = mantissa >> 31
        mantissa >>= digit
        digits = 2 * digits + digit
    table = np.concatenate([[0], (whole << FRACTION_BITS) + digits])
    table.flags.writeable = False
    return table


@cache
def _probability_table():
    log2 = log2_table()
    ones = np.arange(1, WHOLE)
    odds = log2[ones] - log2[WHOLE - ones]  # rises
    wanted = np.arange(-_REACH, _REACH + 1) << _SHIFT
    table = (np.searchsorted(odds, wanted) + 1).clip(LEAST, MOST).astype(np.int64)
    table.flags.writeable = False
    return table


def probability(log_odds: np.ndarray) -> np.ndarray:
    """The p, in 1/65536, of which log2(p / (1 - p)) is `log_odds`, in 1/4096.

    It is the least p whose log-odds reach it, once `log_odds` is rounded down to 1/256
    and cut to 12 octaves either way; then cut to `LEAST` and `MOST`.
    """
    return _probability_table().take((log_odds >> _SHIFT) + _REACH, mode="clip")
