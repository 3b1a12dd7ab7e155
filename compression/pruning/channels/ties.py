"""Which channels are tied: kept together or removed together (a union-find)."""

import numpy as np


class Ties:
    """Numbers for channels, some of them tied, some kept for good.

    Every channel of every tensor of a net has a number here; channels with one number
    are one channel seen in several tensors. `unite` ties two numbers.
    """

    def __init__(self):
        self._parents = []
        self._kept = []  # (numbers, why)
        self._unions = []  # (numbers, why)

    def new(self, count: int) -> np.ndarray:
        """Numbers for `count` new channels, tied to nothing."""
        first = len(self._parents)
        self._parents.extend(range(first, first + count))
        return np.arange(first, first + count)

    def unite(self, one: np.ndarray, other: np.ndarray, why: str) -> None:
        """Ties channel i of `one` to channel i of `other`."""
        if len(one) != len(other):
            raise ValueError(f"{why}: {len(one)} channels meet {len(other)}")
        if (one == other).all():
            return
        self._unions.append((one, why))
        for a, b in zip(one.tolist(), other.tolist(), strict=True):
            a, b = sorted((self._root(a), self._root(b)))
            self._parents[b] = a

    def keep(self, channels: np.ndarray, why: str) -> None:
        """Marks channels, and with them all that are tied to them, as never removed."""
        self._kept.append((channels, why))

    def roots(self) -> np.ndarray:
        """For every number the least of those it is tied to."""
        return np.array([self._root(i) for i in range(len(self._parents))], int)

    def reasons(self) -> dict[int, list[str]]:
        """For roots that are never removed: why."""
        return self._by_root(self._kept)

    def unions(self) -> dict[int, list[str]]:
        """For roots: what tied them together."""
        return self._by_root(self._unions)

    def _by_root(self, marks):
        found = {}
        for channels, why in marks:
            for root in {self._root(i) for i in channels.tolist()}:
                reasons = found.setdefault(root, [])
                if why not in reasons:
                    reasons.append(why)
        return found

    def _root(self, i):
        parents = self._parents
        while parents[i] != i:
            parents[i] = i = parents[parents[i]]
        return i
