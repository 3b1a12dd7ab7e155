"""Patterns: which weights of a kernel become zero together.

A kernel is seen as a matrix, inputs x outputs: a row for each weight that goes into an
output (of a convolution every position and channel of its window, channels fastest), a
column for each output channel. So a convolution's matrix is the one that it is
multiplied with as im2col, and N:M groups lie along the input channels where these are
a multiple of M.
"""

import re
from dataclasses import dataclass

import numpy as np

NAMES = ("element", "n:m", "block(rows, columns)", "kernel")
LAST = (-1,)


@dataclass(frozen=True)
class Element:
    """Single weights."""

    complete = 1.0

    def refusal(self, shape, outputs) -> str | None:
        """Why a kernel of this shape has no such pattern, None where it has."""

    def units(self, scores: np.ndarray, outputs: tuple[int, ...]) -> np.ndarray:
        """For each weight, which unit it goes with, counted from 0; -1: it stays."""
        return np.arange(scores.size)

    def __str__(self):
        return "element"


@dataclass(frozen=True)
class OfM:
    """At most `n` weights of every `m` that follow each other along the inputs.

    Mishra et al. (2021), "Accelerating Sparse Deep Neural Networks",
    https://arxiv.org/abs/2104.08378, section 3, for 2:4. A unit is the `m` - `n`
    weights of least saliency of a group. What is left over where `m` does not divide
    the inputs stays dense.
    """

    n: int
    m: int

    def __post_init__(self):
        if not 0 < self.n < self.m:
            raise ValueError(
                f"pattern {self} keeps {self.n} of {self.m} weights: n:m must have "
                "0 < n < m"
            )

    @property
    def complete(self) -> float:
        """Fraction of zeros in a kernel that is all of this pattern."""
        return 1 - self.n / self.m

    def refusal(self, shape, outputs):
        rows, columns = matrix(shape, outputs).shape
        if rows < self.m:
            return f"is {rows} x {columns}, inputs x outputs: no {self.m} inputs"
        return None

    def units(self, scores, outputs):
        index = matrix(scores.shape, outputs)
        groups, columns = len(index) // self.m, index.shape[1]
        index = index[: groups * self.m].reshape(groups, self.m, columns)
        order = np.argsort(scores.ravel()[index], axis=1, kind="stable")
        least = np.take_along_axis(index, order[:, : self.m - self.n], axis=1)
        units = np.full(scores.size, -1)
        units[least] = np.arange(groups * columns).reshape(groups, 1, columns)
        return units

    def __str__(self):
        return f"{self.n}:{self.m}"


@dataclass(frozen=True)
class Block:
    """Blocks of `rows` inputs and `columns` outputs; smaller ones at the far edges."""

    rows: int
    columns: int
    complete = 1.0

    def __post_init__(self):
        if self.rows < 1 or self.columns < 1:
            raise ValueError(f"pattern {self} has no weights: its sides start at 1")

    def refusal(self, shape, outputs):
        rows, columns = matrix(shape, outputs).shape
        if rows < self.rows or columns < self.columns:
            return f"is {rows} x {columns}, inputs x outputs: smaller than the block"
        return None

    def units(self, scores, outputs):
        index = matrix(scores.shape, outputs)
        row, column = np.indices(index.shape)
        across = -(-index.shape[1] // self.columns)
        units = np.empty(scores.size, int)
        units[index] = row // self.rows * across + column // self.columns
        return units

    def __str__(self):
        return f"block({self.rows}, {self.columns})"


@dataclass(frozen=True)
class Kernel:
    """Whole kernels of a convolution: the window of one input and one output channel.

    Dense layers have none and stay as they are.
    """

    complete = 1.0

    def refusal(self, shape, outputs):
        del shape, outputs

    def units(self, scores, outputs):
        return np.arange(scores.size) % np.prod(scores.shape[-2:], dtype=int)

    def __str__(self):
        return "kernel"


Pattern = Element | OfM | Block | Kernel


def pattern(name: str) -> Pattern:
    """The pattern that is called so: "element", "2:4", "block(1, 4)", "kernel".

    Raises:
        ValueError: there is no such pattern, or none with such numbers.
    """
    text = str(name)
    if text == "element":
        return Element()
    if text == "kernel":
        return Kernel()
    if found := re.fullmatch(r"(\d+):(\d+)", text):
        return OfM(*map(int, found.groups()))
    if found := re.fullmatch(r"block\((\d+), *(\d+)\)", text):
        return Block(*map(int, found.groups()))
    raise ValueError(f"no pattern called {name!r}; choose from {', '.join(NAMES)}")


def matrix(shape: tuple[int, ...], outputs: tuple[int, ...] = LAST) -> np.ndarray:
    """Where in a flattened kernel the weights of its matrix are, inputs x outputs.

    Args:
        shape: of the kernel.
        outputs: the axes of its output channels, see `weights.channel_axes`.
    """
    index = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    last = tuple(range(-len(outputs), 0))
    columns = np.prod([shape[axis] for axis in outputs], dtype=int)
    return np.moveaxis(index, outputs, last).reshape(-1, columns)
