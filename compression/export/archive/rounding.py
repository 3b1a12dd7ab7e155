"""Weights as whole multiples of a step: fewer bits, where the loss hardly feels it.

Which multiple a weight becomes weighs what the rounding costs the answers against the
bits that the number takes: Wiedemann et al., "DeepCABAC" (2020),
https://arxiv.org/abs/1907.11900, equation 10. What a weight costs is told by the
diagonal of the Fisher information, as in Choi et al., "Towards the Limit of Network
Quantization" (2017), https://arxiv.org/abs/1612.01543, section 3.
"""

import math
from dataclasses import dataclass

import numpy as np

FLOOR = 0.05  # of the mean Fisher information, for weights that have less
RARE = 0.1  # how often a size counts as met that is not
MOST_CODES = 2**20  # of either sign: a product with the step is rounded once


@dataclass(frozen=True)
class Rounded:
    """An array as whole multiples of a step.

    Attributes:
        codes: int32, of the array's shape.
        step: float32; 0 where all codes are 0.
    """

    codes: np.ndarray
    step: np.float32

    @property
    def values(self) -> np.ndarray:
        """float32, of the array's shape: the products, each rounded once."""
        return self.codes.astype("float32") * self.step


def bits_of(array: Rounded) -> float:
    """What its codes take, as `Rates` tells."""
    return float(Rates(array.codes).of(array.codes).sum())


def rounded(
    weights: np.ndarray, fisher: np.ndarray, price: float, ratio: float
) -> Rounded:
    """Whole multiples that cost least: loss + price * bits.

    Each weight is rounded to the nearest, the next towards zero, or zero.

    Args:
        weights: any shape, finite; zeros stay zeros.
        fisher: of its shape: second derivatives of the loss.
        price: of a bit, in the loss (nats).
        ratio: squared step times the mean Fisher information over the price.
    """
    codes = np.zeros(weights.shape, "int32")
    at = weights != 0
    told = fisher[at]
    if not told.size or not told.max() > 0:
        return Rounded(codes, np.float32(0))
    step = min(np.sqrt(ratio * price / told.mean()), 2 * np.abs(weights).max())
    step = _short(max(step, np.abs(weights).max() / MOST_CODES))
    exact = weights[at].astype("float64") / float(step)
    loss = np.maximum(told, FLOOR * told.mean()) / 2 * float(step) ** 2
    nearest = np.rint(exact)
    choices = [nearest, nearest - np.sign(nearest), np.zeros_like(nearest)]
    codes[at] = nearest
    for _ in range(3):  # the rates are those of the codes, which follow the rates
        rates = Rates(codes)
        costs = [
            loss * (exact - each) ** 2 + price * rates.of(each, at) for each in choices
        ]
        codes[at] = np.choose(np.argmin(costs, axis=0), choices)
    return Rounded(codes, step)


class Rates:
    """What codes cost in bits, told from how often they are met.

    A coder that adapts knows more of an entry that is not zero where its row and its
    column hold many; the size of it is told by how often each size is met.

    Args:
        codes: whole numbers, any shape.
    """

    def __init__(self, codes: np.ndarray):
        rows = codes.reshape(math.prod(codes.shape[:-1]), *codes.shape[-1:] or [1])
        held = rows != 0
        whole = (held.sum() + 1) / (held.size + 2)
        down = (held.sum(0) + 2 * whole) / (len(held) + 2)
        across = (held.sum(1) + 2 * whole) / (held.shape[1] + 2)
        odds = _odds(down)[None] * _odds(across)[:, None] / _odds(whole)
        self.zero = np.log2(1 + odds).reshape(codes.shape)
        self.other = self.zero - np.log2(odds).reshape(codes.shape)
        sizes = np.abs(codes[codes != 0])
        counts = np.bincount(sizes, minlength=2)[1:] + RARE
        self.sizes = 1 - np.log2(counts / counts.sum())  # 1: its sign

    def of(self, codes: np.ndarray, at=...) -> np.ndarray:
        """Bits of each.

        Args:
            codes: that may stand there.
            at: mask of where; all.
        """
        sizes = np.abs(codes).astype(int)
        bits = self.sizes[np.clip(sizes, 1, len(self.sizes)) - 1]
        return np.where(sizes == 0, self.zero[at], self.other[at] + bits)


def _odds(share):
    return share / (1 - share)


def _short(step: float) -> np.float32:
    """The next below with a mantissa of 5 bits."""
    mantissa, exponent = np.frexp(np.float32(step))
    return np.float32(np.ldexp(np.floor(mantissa * 32) / 32, exponent))
